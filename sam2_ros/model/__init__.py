"""The network: pure functions of tensors. No state, no ROS, no files but checkpoints."""

from sam2_ros.model.config import CONFIGS, HieraConfig, SAM2Config
from sam2_ros.model.sam2 import SAM2

__all__ = ["CONFIGS", "SAM2", "HieraConfig", "SAM2Config"]
