"""Prompts as a careful user would give them, made from the truth."""

from __future__ import annotations

from contextlib import suppress

import cv2
import numpy as np

from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.prompt import Box, Click, Prompt, SmallMaskError
from sam2_ros.tracking.tracker import Tracker

KINDS = {"mask": 0, "box": 0, "click": 1, "3clicks": 3, "5clicks": 5}
"""Kinds of first prompts, with their number of clicks."""


def error_click(mask: np.ndarray, truth: np.ndarray) -> Click | None:
    """The click that corrects `mask` towards `truth`, bool [H, W]; None where they are equal.

    It lies where an error reaches deepest: on the pixel that is farthest from the rim of its error region, among missed
    pixels (a positive click) and wrong ones (a negative click). The edge of the image is a rim too. As in the SAM 2
    paper's evaluation (appendix F), where this is called the centre of the error region.
    """
    deepest = None
    for positive, error in ((True, truth & ~mask), (False, mask & ~truth)):
        depth = cv2.distanceTransform(np.pad(error, 1).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        _, largest, _, (x, y) = cv2.minMaxLoc(depth)
        if largest > 0 and (deepest is None or largest > deepest[0]):
            deepest = largest, Click(x - 1, y - 1, positive)
    return deepest and deepest[1]


def tight_box(mask: np.ndarray) -> Box:
    """The smallest box around a mask, bool [H, W], that is not empty."""
    return Box(*cv2.boundingRect(mask.view(np.uint8)))


def prompt_object(tracker: Tracker, kind: str, object_id: int, truth: np.ndarray, label: str = "") -> Masklet:
    """Points a new object out on the tracker's newest frame, where it covers `truth`, bool [H, W], not empty.

    A mask that is too small for the network gives way to its box.

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
    """Clicks on one frame, from `mask` towards `truth`, bool [H, W]; gives the tracker's answer to each.

    Each click corrects what came of those before it, as a user's would who looks at the result. There are less than
    `clicks` where the mask becomes the truth. With a `stamp`, that of the frame (None: the newest), the object is not
    carried forward from there.
    """
    answers: list[Masklet] = []
    while len(answers) < clicks and (click := error_click(mask, truth)) is not None:
        prompt = Prompt(object_id, clicks=(click,), label=label)
        answers.append(tracker.prompt(prompt) if stamp is None else tracker.prompt(prompt, stamp, carry=False))
        mask = answers[-1].mask
    return answers
