"""Acceleration of the network of `sam2_ros.model`: `accelerate` for inference, `for_training` for training."""

from sam2_ros.acceleration.door import Capacity, accelerate, accelerated
from sam2_ros.acceleration.inference import Choice, choice_of
from sam2_ros.acceleration.network import Network
from sam2_ros.acceleration.training import for_training

__all__ = ["Capacity", "Choice", "Network", "accelerate", "accelerated", "choice_of", "for_training"]
