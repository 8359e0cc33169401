"""Promptable visual segmentation over a stream and on pictures."""

from sam2_ros.tracking.image_predictor import Candidates, ImagePredictor
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Box, Click, Prompt, PromptError
from sam2_ros.tracking.tracker import StampError, Tracker

__all__ = [
    "Box",
    "Candidates",
    "Click",
    "Frame",
    "ImagePredictor",
    "Masklet",
    "Prompt",
    "PromptError",
    "StampError",
    "Tracker",
]
