"""What a user or a detector says about an object: clicks, a box, a mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

MAX_CLICKS = 64
"""Clicks that one object may have on one frame."""

MAX_OBJECT_ID = 2**16 - 1
"""The largest ID that a prompt may choose: pictures of labels have 16 bits a pixel."""

MAX_LABEL = 256
"""Letters of an object's name."""


class PromptError(ValueError):
    """A prompt that cannot be followed; the message says why and what to do. Nothing tracked has changed."""


class Click(NamedTuple):
    """A point on the object (positive) or beside it, in pixels of the image: column and row, (0, 0) the first pixel."""

    x: float
    y: float
    positive: bool = True


class Box(NamedTuple):
    """A rectangle in pixels of the image: top-left corner and size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, eq=False)
class Prompt:
    """What is said about one object on one frame. Clicks, box and mask may come together."""

    object_id: int = 0
    """0: a new object, which gets the next free ID. An ID that is not tracked yet starts an object of that ID."""
    clicks: Sequence[Click] = ()
    box: Box | None = None
    mask: np.ndarray | None = None
    """bool or uint8 [H, W] of the image's size, non-zero on the object."""
    label: str = ""
    """A name for the object; empty: keep the one it has."""
    replace: bool = False
    """Forget what this object was and start again from this prompt."""

    def checked(self, height: int, width: int) -> Prompt:
        """The prompt for an image of this size, its box cut to the image.

        Raises:
            PromptError: nothing is prompted, numbers are not finite, something lies outside the image, or the label is
                too long.
        """
        if not 0 <= self.object_id <= MAX_OBJECT_ID:
            raise PromptError(f"object_id {self.object_id} is out of range; use 1 .. {MAX_OBJECT_ID}, 0 for a new one")
        if len(self.label) > MAX_LABEL:
            raise PromptError(f"a label of {len(self.label)} letters; at most {MAX_LABEL} are possible")
        if not self.clicks and self.box is None and self.mask is None:
            raise PromptError("the prompt is empty; give at least one click, a box or a mask")
        if len(self.clicks) > MAX_CLICKS:
            raise PromptError(f"{len(self.clicks)} clicks on one frame; at most {MAX_CLICKS} are used")
        for click in self.clicks:
            if not (math.isfinite(click.x) and math.isfinite(click.y)):
                raise PromptError(f"click ({click.x}, {click.y}) is not finite")
            if not (0 <= click.x < width and 0 <= click.y < height):
                raise PromptError(f"click ({click.x:g}, {click.y:g}) is outside the image of {width} x {height} pixels")
        return replace(
            self,
            clicks=tuple(self.clicks),
            box=None if self.box is None else _cut(self.box, height, width),
            mask=None if self.mask is None else _binary(self.mask, height, width),
        )


def _cut(box: Box, height: int, width: int) -> Box:
    if not all(math.isfinite(side) for side in box):
        raise PromptError(f"box {tuple(box)} is not finite")
    left, top = max(box.x, 0), max(box.y, 0)
    right, bottom = min(box.x + box.width, width), min(box.y + box.height, height)
    if box.width < 1 or box.height < 1:
        raise PromptError(f"box of {box.width:g} x {box.height:g} pixels has no size")
    if right - left < 1 or bottom - top < 1:
        raise PromptError(f"box {tuple(box)} is outside the image of {width} x {height} pixels")
    return Box(left, top, right - left, bottom - top)


def _binary(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    if mask.shape != (height, width):
        size = " x ".join(str(side) for side in reversed(mask.shape))
        raise PromptError(f"mask of {size} pixels for an image of {width} x {height}; they must have the same size")
    mask = mask.astype(bool)
    if not mask.any():
        raise PromptError("the mask is empty; set the object's pixels to a value other than 0")
    return mask
