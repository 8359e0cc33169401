"""The generated scene as a show: a red toy car that is clicked on the first frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from sam2_ros.evaluation.prompts import error_click
from sam2_ros.ros.demo.show import Show
from sam2_ros.scenes.demo_scene import CAR, NAMES, demo_scene
from sam2_ros.tracking.prompt import Prompt


def generated_show(folder: Path, frames: int | None) -> Show:
    """Renders the demo scene, or its first `frames`, as images into a folder."""
    clip = demo_scene() if frames is None else demo_scene(frames)
    for index, image in enumerate(clip.frames):
        cv2.imwrite(str(folder / f"{index:05d}.png"), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    masks = clip.masks[0]
    assert masks is not None
    truth = masks[clip.object_ids.index(CAR)]
    click = error_click(np.zeros_like(truth), truth)
    assert click is not None, "the car is visible on the first image"
    return Show(folder, len(clip), clip.fps, (Prompt(clicks=(click,), label=NAMES[CAR]),), clip, CAR)
