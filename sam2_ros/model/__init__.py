"""The network: pure functions of tensors. No state, no ROS, no files but checkpoints."""

from sam2_ros.model.checkpoint import CheckpointError, load_checkpoint, load_model, save_official, save_weights
from sam2_ros.model.config import CONFIGS, HieraConfig, SAM2Config
from sam2_ros.model.sam2 import SAM2

__all__ = [
    "CONFIGS",
    "SAM2",
    "CheckpointError",
    "HieraConfig",
    "SAM2Config",
    "load_checkpoint",
    "load_model",
    "save_official",
    "save_weights",
]
