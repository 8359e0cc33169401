"""SAM 2 for robots: point at a thing once, and every camera frame says where it is and whether it can be seen.

    import sam2_ros

    tracker = sam2_ros.Tracker(sam2_ros.load_model())
    tracker.step(image, stamp)                                              # uint8 [H, W, 3] RGB, nanoseconds
    tracker.prompt(sam2_ros.Prompt(clicks=(sam2_ros.Click(640, 360),)))
    frame = tracker.step(next_image, next_stamp)
    frame.masklets[0].mask                                                  # bool [H, W]

Needs no ROS. The ROS 2 nodes are in `sam2_ros.ros`, the messages in `sam2_ros.msg` and `sam2_ros.srv`.
"""

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sam2_ros.model.checkpoint import load_model, save_official
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

_MODULES = {
    "Box": "sam2_ros.tracking.prompt",
    "Click": "sam2_ros.tracking.prompt",
    "Frame": "sam2_ros.tracking.masklet",
    "ImagePredictor": "sam2_ros.tracking.image_predictor",
    "Masklet": "sam2_ros.tracking.masklet",
    "Prompt": "sam2_ros.tracking.prompt",
    "PromptError": "sam2_ros.tracking.prompt",
    "Tracker": "sam2_ros.tracking.tracker",
    "load_model": "sam2_ros.model.checkpoint",
    "save_official": "sam2_ros.model.checkpoint",
}


def __getattr__(name: str):
    # Loaded at first use: importing the messages alone should not cost the seconds that PyTorch takes.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
