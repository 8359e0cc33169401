"""The network: pure functions of tensors. No state, no ROS, no files.

`config` does not import PyTorch; the rest is imported at first use.
"""

from typing import TYPE_CHECKING

from sam2_ros.lazy import lazy_names

if TYPE_CHECKING:
    from sam2_ros.model.config import CONFIGS, HieraConfig, SAM2Config
    from sam2_ros.model.sam2 import SAM2

__all__ = ["CONFIGS", "SAM2", "HieraConfig", "SAM2Config"]

__getattr__, __dir__ = lazy_names(
    __name__, {"CONFIGS": "config", "SAM2": "sam2", "HieraConfig": "config", "SAM2Config": "config"}
)
