"""Masks between page and server: {height, width, counts}, COCO's run lengths as the Mask message has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sam2_ros.data import coco_rle
from sam2_ros.desk.event import Event
from sam2_ros.desk.refusal import Refusal
from sam2_ros.tracking import rle


def to_wire(mask: np.ndarray) -> Event:
    """A mask, bool [H, W], for the page."""
    height, width = mask.shape
    return counts_to_wire(height, width, rle.encode(mask))


def counts_to_wire(height: int, width: int, counts: Sequence[int] | np.ndarray) -> Event:
    """Run lengths for the page: column-major, beginning with off."""
    return {"height": height, "width": width, "counts": np.asarray(counts).tolist()}


def mask(value: Any, size: tuple[int, int]) -> np.ndarray:
    """A mask from the page: bool [H, W].

    Args:
        size: height and width of the image.

    Raises:
        Refusal: it is no mask of this size.
    """
    return rle.decode(counts(value, size), *size)


def counts(value: Any, size: tuple[int, int]) -> np.ndarray:
    """The run lengths of a mask from the page: int64 [K]. Arguments and errors are those of `mask`."""
    height, width = size
    if not isinstance(value, dict) or not isinstance(lengths := value.get("counts"), list):
        raise Refusal("a mask is an object with height, width and counts, a list of run lengths")
    if [value.get("height"), value.get("width")] != [height, width]:
        raise Refusal(f"the mask is not of the image's size, {width} x {height} pixels; draw it again on this image")
    try:
        return coco_rle.counts({"counts": lengths}, size)
    except ValueError as error:
        raise Refusal(f"{error}; draw the mask again") from None
