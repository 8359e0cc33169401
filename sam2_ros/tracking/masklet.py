"""What the tracker answers: objects with their masks, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sam2_ros.tracking.prompt import Box


@dataclass(frozen=True, eq=False)
class Masklet:
    """One object on one frame."""

    object_id: int
    label: str
    present: bool
    """Whether the object can be seen: it is more likely visible than not, and its mask has pixels."""
    presence: float
    """Probability that the object is visible, 0 .. 1."""
    iou: float
    """Predicted IoU of the mask with the truth, 0 .. 1."""
    mask: np.ndarray
    """bool [H, W], all False when the object is not present."""

    @cached_property
    def box(self) -> Box:
        """The tight box around the mask, whole pixels; all 0 when the mask is empty."""
        columns, rows = np.flatnonzero(self.mask.any(axis=0)), np.flatnonzero(self.mask.any(axis=1))
        if not columns.size:
            return Box(0, 0, 0, 0)
        left, top = int(columns[0]), int(rows[0])
        return Box(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)


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
