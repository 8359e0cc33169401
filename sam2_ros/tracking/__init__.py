"""Promptable visual segmentation over a stream and on single images.

Prompts, masklets and their run lengths (`prompt`, `masklet`, `rle`) need NumPy alone; the rest is loaded at first use.
"""

from typing import TYPE_CHECKING

from sam2_ros.lazy import lazy_names

if TYPE_CHECKING:
    from sam2_ros.tracking.automatic_masks import AutomaticMask, AutomaticMaskGenerator, EverythingSettings
    from sam2_ros.tracking.history import StampError
    from sam2_ros.tracking.image_predictor import Candidates, ImagePredictor
    from sam2_ros.tracking.masklet import Frame, Masklet
    from sam2_ros.tracking.prompt import Box, Click, Prompt, PromptError
    from sam2_ros.tracking.tracker import Tracker

__all__ = [
    "AutomaticMask",
    "AutomaticMaskGenerator",
    "Box",
    "Candidates",
    "Click",
    "EverythingSettings",
    "Frame",
    "ImagePredictor",
    "Masklet",
    "Prompt",
    "PromptError",
    "StampError",
    "Tracker",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AutomaticMask": "automatic_masks",
        "AutomaticMaskGenerator": "automatic_masks",
        "Box": "prompt",
        "Candidates": "image_predictor",
        "Click": "prompt",
        "EverythingSettings": "automatic_masks",
        "Frame": "masklet",
        "ImagePredictor": "image_predictor",
        "Masklet": "masklet",
        "Prompt": "prompt",
        "PromptError": "prompt",
        "StampError": "history",
        "Tracker": "tracker",
    },
)
