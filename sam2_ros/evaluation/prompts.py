"""Simulated prompts of a careful user, derived from true masks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import cv2
import numpy as np

from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.prompt import Box, Click, Prompt, SmallMaskError

if TYPE_CHECKING:
    from sam2_ros.tracking.tracker import Tracker  # needs PyTorch; the clicks, which the demo uses, do not

KINDS = {"mask": 0, "box": 0, "click": 1, "3clicks": 3, "5clicks": 5}
"""Kinds of first prompts, and the number of clicks of each."""


def error_click(mask: np.ndarray, truth: np.ndarray) -> Click | None:
    """The click that corrects `mask` towards `truth`, bool [H, W]; None where they are equal.

    It lies on the pixel with the largest distance to the border of its error region: a positive click among false
    negatives, or a negative one among false positives. The image's edge is a border, too. As in the SAM 2 paper's
    evaluation (appendix F), which calls it the centre of the error region.
    """
    deepest = None
    for positive, error in ((True, truth & ~mask), (False, mask & ~truth)):
        depth = cv2.distanceTransform(np.pad(error, 1).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        _, largest, _, (x, y) = cv2.minMaxLoc(depth)
        if largest > 0 and (deepest is None or largest > deepest[0]):
            deepest = largest, Click(x - 1, y - 1, positive)
    return deepest and deepest[1]


def tight_box(mask: np.ndarray) -> Box:
    """The bounding box of a non-empty mask, bool [H, W]."""
    return Box(*cv2.boundingRect(mask.view(np.uint8)))


def prompt_object(tracker: Tracker, kind: str, object_id: int, truth: np.ndarray, label: str = "") -> Masklet:
    """Prompt a new object on the tracker's newest frame, where its true mask is `truth`, bool [H, W], not empty.

    If the mask is too small for the network, its box is the prompt instead.

    Raises KeyError for an unknown kind.
    """
    clicks = KINDS[kind]
    if kind == "mask":
        with suppress(SmallMaskError):
            return tracker.prompt(Prompt(object_id, mask=truth, label=label))
    if kind in ("mask", "box"):
        return tracker.prompt(Prompt(object_id, box=tight_box(truth), label=label))
    return correct(tracker, object_id, np.zeros_like(truth), truth, clicks, label=label)[-1]


def correct(
    tracker: Tracker, object_id: int, mask: np.ndarray, truth: np.ndarray, clicks: int, stamp: int | None = None,
    label: str = "",
) -> list[Masklet]:  # fmt: skip
    """Correct `mask` towards `truth`, bool [H, W], by clicks on one frame. Returns the masklet after each click.

    Each click corrects the result of those before it. There are fewer than `clicks` if the mask becomes equal to the
    truth. On the frame of a `stamp` (None: the newest), the object is not carried forward.
    """
    answers: list[Masklet] = []
    while len(answers) < clicks and (click := error_click(mask, truth)) is not None:
        prompt = Prompt(object_id, clicks=(click,), label=label)
        answers.append(tracker.prompt(prompt) if stamp is None else tracker.prompt(prompt, stamp, carry=False))
        mask = answers[-1].mask
    return answers
