"""What the tracker answers: objects with their masks, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sam2_ros.tracking.prompt import Box

BOX_MIN_PART = 0.1
"""Of generated scenes, what makes boxes most like those of the true masks (benchmarks/boxes.py)."""


@dataclass(frozen=True, eq=False)
class Masklet:
    """One object on one frame."""

    object_id: int
    label: str
    present: bool
    """Whether the object can be seen: it is more likely visible than not, and its mask has pixels."""
    presence: float
    """Probability that the object is visible, 0 .. 1; above one half only where it is present."""
    iou: float
    """Predicted IoU of the mask with the truth, 0 .. 1."""
    mask: np.ndarray
    """bool [H, W], all False when the object is not present."""

    box_min_part: float = 0.0
    """Parts of the mask with fewer pixels than this share of its largest part don't count for the box."""

    @cached_property
    def box(self) -> Box:
        """The tight box around the parts of the mask that count, whole pixels; all 0 when the mask is empty."""
        import cv2  # not above: who only reads masklets needs no OpenCV

        pixels = np.ascontiguousarray(self.mask).view(np.uint8)
        left, top, width, height = cv2.boundingRect(pixels)
        if self.box_min_part and width:
            here = pixels[top : top + height, left : left + width]
            parts = cv2.connectedComponentsWithStats(here, connectivity=8)[2][1:]
            counted = parts[parts[:, cv2.CC_STAT_AREA] >= self.box_min_part * parts[:, cv2.CC_STAT_AREA].max()]
            x, y, w, h = counted[:, : cv2.CC_STAT_AREA].T
            left, width = left + int(x.min()), int((x + w).max() - x.min())
            top, height = top + int(y.min()), int((y + h).max() - y.min())
        return Box(left, top, width, height)


@dataclass(frozen=True)
class Frame:
    """Everything there is to say about one image."""

    stamp: int
    """Time of the image, ns."""
    height: int
    width: int
    masklets: tuple[Masklet, ...]
    """Every tracked object, present or not, by ascending ID."""

    def masklet(self, object_id: int) -> Masklet | None:
        """The masklet of an object; None when it is not tracked."""
        return next((masklet for masklet in self.masklets if masklet.object_id == object_id), None)
