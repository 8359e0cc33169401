"""What a page has really drawn: the pixels of its canvas, compared with masks."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from browser import wait_for
from playwright.sync_api import Page

from sam2_ros.tracking.object_colours import colour

STEP = 4
"""Every fourth pixel of the image is looked at, in both directions."""

LINE = 2
"""Pixels of the image on both sides of a mask's edge that its line covers."""

_SCRIPT = Path(__file__).with_suffix(".js")


class ShownMasks:
    """Reads the canvas of a page's masks.

    Args:
        page: a desk.
        object_ids: the objects that are looked for, 1 .. 255.
    """

    def __init__(self, page: Page, object_ids: list[int]) -> None:
        self._page = page
        self._palette = [[object_id, list(colour(object_id))] for object_id in object_ids]
        page.evaluate(_SCRIPT.read_text(), STEP)

    def now(self) -> np.ndarray:
        """The object that is drawn at each sampled pixel, or 0: uint8 [H / STEP, W / STEP]."""
        text, width = self._page.evaluate("(palette) => [sampleMasks(palette), desk.stage.frame.width]", self._palette)
        return _samples(text, width)

    def record(self, frames: int, timeout: float = 120_000) -> dict[int, np.ndarray]:
        """Looks at that many images, each when it has just been drawn: as `now`, by stamp, ns."""
        self._page.evaluate("([palette, frames]) => recordMasks(palette, frames)", [self._palette, frames])
        wait_for(self._page, "(frames) => Object.keys(drawn).length >= frames", frames, timeout)
        drawn, width = self._page.evaluate("[drawn, desk.stage.frame.width]")
        return {int(stamp): _samples(text, width) for stamp, text in drawn.items()}


def overlap(samples: np.ndarray, masks: Mapping[int, np.ndarray]) -> dict[int, float]:
    """IoU of what is drawn with masks, bool [H, W], by object ID.

    Pixels within `LINE` of a mask's edge are left out, because a line of other colours is drawn there, and so are those
    of several masks, whose colours mix.
    """
    found = {}
    shared = sum(mask.astype(np.uint8) for mask in masks.values()) > 1
    for object_id, mask in masks.items():
        pixels, square = mask.astype(np.uint8), np.ones((2 * LINE + 1, 2 * LINE + 1), np.uint8)
        unclear = shared | (cv2.dilate(pixels, square) != cv2.erode(pixels, square))
        drawn, truth = (part & ~unclear[::STEP, ::STEP] for part in (samples == object_id, mask[::STEP, ::STEP]))
        union = np.count_nonzero(drawn | truth)
        found[object_id] = np.count_nonzero(drawn & truth) / union if union else 1.0
    return found


def _samples(text: str, width: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, -(-width // STEP))
