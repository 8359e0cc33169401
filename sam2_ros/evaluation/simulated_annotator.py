"""A simulated annotator: ground truth plays the person who corrects masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sam2_ros.evaluation.prompts import error_click
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.tracking.prompt import Click

TOUCH_IOU = 0.75
"""As in the SAM 2 paper's online evaluation, where the user pauses below it (section 6.1.1)."""
FINE_IOU = 0.85
"""As in the metric NoC@85 of interactive segmentation: number of clicks until 85 % IoU (Xu et al., CVPR 2016)."""
MAX_CLICKS = 8
"""As many as SAM 2 is trained with: the first one and seven corrections (appendix D.2)."""


@dataclass(frozen=True)
class Costs:
    """How long a person takes, s."""

    look: float = 3.8
    """Looking at one frame. What the SAM 2 paper's phase 3 leaves for it: 4.5 s a frame, less 2.68 clicks on 19.04 % of
    the frames (section 5, table 1)."""
    click: float = 2.4
    """The first click on a frame, or pressing "not visible". Bearman et al., What's the Point, ECCV 2016: the median
    for pointing at the first instance of a class on an image."""
    further_click: float = 0.9
    """Each other click on the same frame. The same study: for each further instance of the class; no correction was
    timed there."""
    draw: float = 37.8
    """Drawing a mask with brush and eraser. The SAM 2 paper's phase 1: clicks that were completed by hand."""

    def of_clicks(self, count: int) -> float:
        """Of all clicks on one frame."""
        return self.click + (count - 1) * self.further_click if count else 0.0


@dataclass(frozen=True, eq=False)
class Correction:
    """What is to be done with a mask: one of two."""

    click: Click | None = None
    drawn: np.ndarray | None = None
    """The mask by hand, bool [H, W]; empty: the object is not visible."""


@dataclass(frozen=True)
class SimulatedAnnotator:
    """Corrects masks until they are fine, by clicks at the centre of the largest error, and at last by hand.

    A frame is touched only where the error catches the eye, but is left better than that: two thresholds.
    """

    touch_iou: float = TOUCH_IOU
    """IoU below which a mask is corrected, 0 .. 1."""
    fine_iou: float = FINE_IOU
    """IoU from which on a mask that is being corrected is fine, 0 .. 1."""
    max_clicks: int = MAX_CLICKS
    """Clicks on one frame; if they were not enough, the mask is drawn. 0: all masks are drawn."""
    costs: Costs = Costs()

    def __post_init__(self) -> None:
        if not 0 <= self.touch_iou <= self.fine_iou <= 1:
            raise ValueError(
                f"frames are touched below an IoU of {self.touch_iou} and fine from {self.fine_iou} on; these must be"
                " 0 .. 1, and the second not less than the first"
            )
        if self.max_clicks < 0 or min(vars(self.costs).values()) < 0:
            raise ValueError("numbers of clicks and seconds must not be negative")

    def touches(self, truth: np.ndarray, mask: np.ndarray) -> bool:
        """Whether a mask is worth correcting. Both bool [H, W]; of an object that is not visible, empty."""
        return region_similarity(mask, truth) < self.touch_iou

    def correction(self, truth: np.ndarray, mask: np.ndarray, clicks: int) -> Correction | None:
        """The next correction of a mask; None: it is fine.

        Args:
            truth, mask: bool [H, W]; of an object that is not visible, empty.
            clicks: how many there were on this frame already.
        """
        if region_similarity(mask, truth) >= self.fine_iou:
            return None
        if clicks >= self.max_clicks or not truth.any():
            return Correction(drawn=truth)
        return Correction(click=error_click(mask, truth))

    def seconds(self, clicks: int, drawn: np.ndarray | None = None) -> float:
        """How long it takes to correct one frame, without looking at it first."""
        seconds = self.costs.of_clicks(clicks)
        if drawn is not None:
            seconds += self.costs.draw if drawn.any() else self.costs.click
        return seconds
