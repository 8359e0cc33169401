"""The mask of an object on a frame, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sam2_ros.tracking import rle
from sam2_ros.tracking.masklet import Masklet

AUTOMATIC, PROMPTED, DRAWN, PROPAGATED = "automatic", "prompted", "drawn", "propagated"
ORIGINS = (AUTOMATIC, PROMPTED, DRAWN, PROPAGATED)
"""`automatic`: nobody pointed at it. `prompted`: the answer to clicks, a box or a mask on this frame. `drawn`: by hand.
`propagated`: tracked from frames that were prompted or drawn."""

BY_HAND = (PROMPTED, DRAWN)
"""Origins of masks that a person made on their frame. Propagation leaves them as they are."""


@dataclass(frozen=True, eq=False)
class AnnotatedMask:
    """One object on one frame."""

    object_id: int
    frame: int
    """Index of the image."""
    height: int
    width: int
    present: bool
    presence: float
    """Probability that it is visible, 0 .. 1; of a drawn mask 0 or 1."""
    iou: float
    """Predicted IoU, 0 .. 1; of a drawn mask 1."""
    counts: np.ndarray
    """Run lengths (`rle`): uint32 [K]."""
    origin: str
    """One of `ORIGINS`."""
    phase: int
    """1, 2 or 3, in which it was made; 0: automatically."""
    author: str = ""
    """Who made it; set by the project."""
    action_id: int = 0
    """The action that made it; set by the project."""

    @classmethod
    def drawn(cls, object_id: int, frame: int, mask: np.ndarray, phase: int) -> AnnotatedMask:
        """A mask by hand, bool [H, W]; empty: the object is not visible on this frame."""
        mask = np.asarray(mask, bool)
        visible = bool(mask.any())
        height, width = mask.shape
        return cls(object_id, frame, height, width, visible, float(visible), 1.0, rle.encode(mask), DRAWN, phase)

    @classmethod
    def of(cls, masklet: Masklet, frame: int, origin: str, phase: int) -> AnnotatedMask:
        """The answer of a tracker."""
        counts = rle.encode(masklet.mask, masklet.rows)
        height, width = masklet.mask.shape
        present, presence, iou = masklet.present, float(masklet.presence), float(masklet.iou)
        return cls(masklet.object_id, frame, height, width, present, presence, iou, counts, origin, phase)

    @property
    def mask(self) -> np.ndarray:
        """bool [H, W]."""
        return rle.decode(self.counts, self.height, self.width)

    def masklet(self, label: str = "") -> Masklet:
        """With its mask decoded."""
        return Masklet(self.object_id, label, self.present, self.presence, self.iou, self.mask)


@dataclass(frozen=True)
class Rating:
    """What is said of an object on a frame, without its mask."""

    frame: int
    """Index of the image."""
    origin: str
    """One of `ORIGINS`."""
    present: bool
    presence: float
    """Probability that it is visible, 0 .. 1."""
    iou: float
    """Predicted IoU, 0 .. 1; of a drawn mask 1."""
