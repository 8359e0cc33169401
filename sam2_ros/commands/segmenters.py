"""What finds the things in a picture: everything that is there, or what prompts point at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import cv2
import numpy as np

from sam2_ros.acceleration import Network
from sam2_ros.data import coco_rle
from sam2_ros.model.sam2 import SAM2
from sam2_ros.tracking import rle
from sam2_ros.tracking.automatic_masks import AutomaticMaskGenerator, EverythingSettings
from sam2_ros.tracking.image_predictor import ImagePredictor
from sam2_ros.tracking.prompt import Box, Prompt

OnProgress = Callable[[float], object]
"""Called with the share of the work that is done, 0 .. 1."""


@dataclass(frozen=True, eq=False)
class Found:
    """A thing in a picture."""

    counts: np.ndarray
    """Run lengths of its mask (`rle`)."""
    iou: float
    """Predicted IoU, 0 .. 1."""
    label: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    """What else its annotation says."""

    def annotation(self, height: int, width: int) -> dict[str, Any]:
        """Its annotation in COCO's format, for `CocoWriter`; height and width of the picture."""
        mask = rle.decode(self.counts, height, width).view(np.uint8)
        return {
            "category": self.label,
            "segmentation": {"size": [height, width], "counts": coco_rle.packed(self.counts)},
            "area": int(self.counts[1::2].sum()),
            "bbox": list(cv2.boundingRect(mask)),
            "iscrowd": 0,
            "score": round(self.iou, 4),
            **self.details,
        }


class Segmenter(Protocol):
    """Finds things in images, uint8 [H, W, 3] RGB."""

    def __call__(self, image: np.ndarray, on_progress: OnProgress) -> list[Found]:
        """The things. Raises PromptError if a prompt lies outside the image."""

    def advice(self, image: np.ndarray) -> str:
        """What to do if nothing was found in an image."""


class Everything:
    """A `Segmenter` of everything in an image."""

    def __init__(self, model: SAM2 | Network, given: dict[str, Any]) -> None:
        """`given`: the settings that replace those that suit the model."""
        self.generator = AutomaticMaskGenerator(model, replace(EverythingSettings.suited_to(model.config), **given))

    def __call__(self, image: np.ndarray, on_progress: OnProgress) -> list[Found]:
        found = []
        for mask in self.generator.generate(image, on_progress=on_progress):
            crop = mask.crop
            details = {
                "stability_score": round(mask.stability, 4),
                "point_coords": [[round(side, 2) for side in mask.point]],
                "crop_box": [crop.left, crop.top, crop.right - crop.left, crop.bottom - crop.top],
            }
            found.append(Found(mask.counts, mask.iou, details=details))
        return found

    def advice(self, image: np.ndarray) -> str:
        """Which thresholds to lower so that something is found."""
        settings = self.generator.settings
        iou, stability = ("pred_iou_thresh",), ("stability_score_thresh",)
        for names in (stability, iou, iou + stability):
            zeros: dict[str, Any] = dict.fromkeys(names, 0.0)
            lower = replace(settings, **zeros)
            masks = AutomaticMaskGenerator(self.generator.network, lower).generate(image)
            if masks:
                best = max(masks, key=lambda mask: mask.iou)
                values = {"pred_iou_thresh": best.iou, "stability_score_thresh": best.stability}
                if any(values[name] < 0.005 for name in names):  # "below 0.00" is nothing that a user can do
                    continue
                said = [f"--{n.replace('_', '-')} ({getattr(settings, n):g}) below {values[n]:.2f}" for n in names]
                return f"lower {' and '.join(said)}"
        return "there is no mask at all at the clicks; try more --points-per-side"


class Prompted:
    """A `Segmenter` of what prompts point at."""

    def __init__(self, model: SAM2 | Network, prompts: Sequence[Prompt], labels: Sequence[str]) -> None:
        self.predictor = ImagePredictor(model)
        self.prompts = [_with_box(prompt) for prompt in prompts]
        self.labels = [*labels, *[""] * (len(prompts) - len(labels))]

    def __call__(self, image: np.ndarray, on_progress: OnProgress) -> list[Found]:
        """Raises PromptError: a prompt lies outside the image."""
        self.predictor.set_image(image)
        found = []
        for number, (prompt, label) in enumerate(zip(self.prompts, self.labels, strict=True), 1):
            candidates = self.predictor.segment(prompt)
            if candidates.masks[0].any():
                found.append(Found(rle.encode(candidates.masks[0]), float(candidates.iou[0]), label))
            on_progress(number / len(self.prompts))
        return found

    def advice(self, image: np.ndarray) -> str:
        return "point at another pixel, or draw a box"


def _with_box(prompt: Prompt) -> Prompt:
    """A mask alone says nothing new; with a box around it, it is refined."""
    if prompt.mask is None or prompt.box is not None or prompt.clicks:
        return prompt
    return replace(prompt, box=Box(*cv2.boundingRect(np.asarray(prompt.mask, bool).view(np.uint8))))
