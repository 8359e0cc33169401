"""Masklets: objects with their masks, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sam2_ros.tracking.prompt import Box

BOX_MIN_PART = 0.1
"""Default of `Masklet.box_min_part`. With 0.1 to 0.3, boxes in generated scenes are most similar to those of the true
masks (benchmarks/boxes.py)."""


@dataclass(frozen=True, eq=False)
class Masklet:
    """One object on one frame."""

    object_id: int
    label: str
    present: bool
    """Whether the object is visible: its presence is above one half, and its mask has pixels."""
    presence: float
    """Probability that the object is visible, 0 .. 1; above one half only where it is present."""
    iou: float
    """Predicted IoU of the mask with the truth, 0 .. 1."""
    mask: np.ndarray
    """bool [H, W], all False when the object is not present."""

    box_min_part: float = 0.0
    """Minimum size of a part that counts for the box, relative to the largest part; holes are filled first."""

    @cached_property
    def rows(self) -> slice:
        """From the first row with pixels to the last; empty when the mask is empty."""
        filled = np.flatnonzero(np.asarray(self.mask).any(axis=1))
        return slice(int(filled[0]), int(filled[-1]) + 1) if filled.size else slice(0, 0)

    @cached_property
    def box(self) -> Box:
        """The tight box around the parts of the mask that count, whole pixels; all 0 when the mask is empty."""
        import cv2  # imported here: reading masklets needs no OpenCV

        mask = np.asarray(self.mask).astype(bool, copy=False)  # a user's mask may have other values
        if not (shown := mask[self.rows]).size:
            return Box(0, 0, 0, 0)
        how = cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        outlines = cv2.findContours(shown.view(np.uint8), *how, offset=(0, self.rows.start))[0]
        # Outlines run through the centres of pixels, so that half of those on them lie outside (Pick's theorem).
        sizes = [cv2.contourArea(outline) + len(outline) / 2 + 1 for outline in outlines]
        least = self.box_min_part * max(sizes)
        counted = [outline for outline, size in zip(outlines, sizes, strict=True) if size >= least]
        return Box(*cv2.boundingRect(np.concatenate(counted)))


@dataclass(frozen=True)
class Frame:
    """All masklets on one image."""

    stamp: int
    """Time of the image, ns."""
    height: int
    width: int
    masklets: tuple[Masklet, ...]
    """Every tracked object, present or not, by ascending ID."""

    def masklet(self, object_id: int) -> Masklet | None:
        """The masklet of an object; None when it is not tracked."""
        return next((masklet for masklet in self.masklets if masklet.object_id == object_id), None)
