"""SAM 2 for robots: point at a thing once, and every camera frame says where it is and whether it can be seen.

    import sam2_ros

    tracker = sam2_ros.Tracker(sam2_ros.load_model())
    tracker.step(image, stamp)                                              # uint8 [H, W, 3] RGB, nanoseconds
    tracker.prompt(sam2_ros.Prompt(clicks=(sam2_ros.Click(640, 360),)))
    frame = tracker.step(next_image, next_stamp)
    frame.masklets[0].mask                                                  # bool [H, W]

Needs no ROS. The ROS 2 nodes are in `sam2_ros.ros`, the messages in `sam2_ros.msg` and `sam2_ros.srv`.
"""

from pkgutil import extend_path
from typing import TYPE_CHECKING

from sam2_ros.lazy import lazy_names

if TYPE_CHECKING:
    from sam2_ros.checkpoints.load import load_model
    from sam2_ros.checkpoints.save import save_official
    from sam2_ros.tracking.image_predictor import ImagePredictor
    from sam2_ros.tracking.masklet import Frame, Masklet
    from sam2_ros.tracking.prompt import Box, Click, Prompt, PromptError
    from sam2_ros.tracking.tracker import Tracker

__all__ = [
    "Box",
    "Click",
    "Frame",
    "ImagePredictor",
    "Masklet",
    "Prompt",
    "PromptError",
    "Tracker",
    "load_model",
    "save_official",
]

# The generated sam2_ros.msg and sam2_ros.srv stand in the install space; this file may be the one in the source folder.
__path__ = extend_path(__path__, __name__)

# Loaded at first use: importing the messages alone should not cost the seconds that PyTorch takes.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Box": "tracking.prompt",
        "Click": "tracking.prompt",
        "Frame": "tracking.masklet",
        "ImagePredictor": "tracking.image_predictor",
        "Masklet": "tracking.masklet",
        "Prompt": "tracking.prompt",
        "PromptError": "tracking.prompt",
        "Tracker": "tracking.tracker",
        "load_model": "checkpoints.load",
        "save_official": "checkpoints.save",
    },
)
