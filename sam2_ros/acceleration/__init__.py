"""Faster implementations of `sam2_ros.model` for inference: `accelerate` is the single entry point."""

from sam2_ros.acceleration.door import Capacity, accelerate, accelerated
from sam2_ros.acceleration.inference import Choice, choice_of
from sam2_ros.acceleration.network import Network

__all__ = ["Capacity", "Choice", "Network", "accelerate", "accelerated", "choice_of"]
