"""Which values of 16-bit images are black and white, from one image of a stream to the next."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np

WIDE = 2**14
"""Images whose values reach over as much use all 16 bits, and are left as they are. Infrared and thermal cameras have
10 to 14 bits, or use a small part of the scale."""
NARROW = 1 / 16
"""Share of a range that is too little to see anything, 16 of 256 grey levels: an image with no more decides anew."""
LEAST = 64
"""Values between black and white at least, so that a camera's noise is no picture."""
FLAT = 4
"""Values between the quarters of an image that are no more than noise: it has no background whose contrast to keep."""
INNER, OUTER = 1.5, 8.0
"""How far beyond the quarters of an image, in distances between them, the range reaches at least, if there are values,
and at most. What lies further out, such as something hot that comes into view, becomes white or black."""
ADAPTATION = 1 / 16
"""Share of the way of a range's end to where it should be that is made with every image ..."""
MOST_CHANGE = 1 / 32
"""... but no more than this share of the range: 8 grey levels."""
TOLERANCE = 1 / 32
"""Share of a range by which its ends may be off without being changed."""
_SAMPLE = 2**14
"""Pixels of an image that are looked at."""


@dataclass(frozen=True)
class ValueRange:
    """What becomes black and what becomes white, 0 <= low < high <= 65535."""

    low: int
    high: int

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


FULL = ValueRange(0, 65535)


def parse_range(text: str) -> ValueRange | None:
    """`full`, or MIN..MAX, or `auto`, which is None: as the images are. Raises ValueError."""
    if text == "auto":
        return None
    if text == "full":
        return FULL
    ends = re.fullmatch(r"(\d{1,5})\.\.(\d{1,5})", text, re.ASCII)
    low, high = map(int, ends.groups()) if ends else (0, 0)
    if not low < high <= FULL.high:
        raise ValueError(f"{text[:40]!r} is no range of values; it must be auto, full, or MIN..MAX as in 7600..8000")
    return ValueRange(low, high)


def next_range(before: ValueRange | None, pixels: np.ndarray) -> ValueRange:
    """The range for an image, from the range of the one before it in the stream; None for the first.

    The first image decides. Later ones move the range slowly, and only as far as they have to, so that the picture does
    not flicker where something hot comes into view. Where most of an image lies outside, or all of it within a small
    part, the camera has changed its gain or has begun with an empty image, and this one decides like a first one.

    Args:
        pixels: uint16 [H, W] or [H, W, 3].
    """
    values = _sampled(pixels)
    if not values.size:  # nothing but black and white
        return before or FULL
    places = np.array((0.001, 0.25, 0.5, 0.75, 0.999)) * (values.size - 1)
    least, quarter, middle, three_quarters, most = values[places.round().astype(int)].tolist()
    spread = three_quarters - quarter
    inner, outer = (
        _around(max(least, quarter - margin), min(most, three_quarters + margin))
        for margin in ((INNER * spread, OUTER * spread) if spread >= FLAT else (FULL.high, FULL.high))
    )
    span = before.high - before.low if before else 0
    if before is None or middle not in before or outer.high - outer.low < NARROW * span:
        return FULL if most - least >= WIDE else outer
    if before == FULL:
        return FULL
    if inner.high - inner.low >= WIDE:
        inner = outer = FULL
    low = _moved(before.low, outer.low, inner.low, span)
    high = _moved(before.high, inner.high, outer.high, span)
    return FULL if inner == FULL and (low, high) == (before.low, before.high) else ValueRange(low, high)


def to_8_bits(pixels: np.ndarray, values: ValueRange) -> np.ndarray:
    """uint16 to uint8 of the same shape: 0 at the low end of the range and below, 255 at the high end and above."""
    if values.low:
        pixels = np.maximum(pixels, np.uint16(values.low)) - np.uint16(values.low)
    return cv2.convertScaleAbs(pixels, alpha=255 / (values.high - values.low))


def _sampled(pixels: np.ndarray) -> np.ndarray:
    """Values on a grid, ascending, without both ends of the scale: rims of rectified images, dead or dazzled pixels."""
    height, width = pixels.shape[:2]
    step = max(1, int((height * width / _SAMPLE) ** 0.5))
    values = pixels[::step, ::step].ravel()
    return np.sort(values[(values != FULL.low) & (values != FULL.high)], kind="stable")  # the fast one for 16 bits


def _around(low: float, high: float) -> ValueRange:
    """These two and what lies between them, widened where that is less than LEAST."""
    first, last = int(low), int(np.ceil(high))
    if last - first < LEAST:
        first = min(max(0, (first + last - LEAST) // 2), FULL.high - LEAST)
        last = first + LEAST
    return ValueRange(first, last)


def _moved(end: int, least: int, most: int, span: int) -> int:
    """An end of a range of this span, a little closer to where it should be, least .. most."""
    way = min(max(end, least), most) - end
    if abs(way) <= TOLERANCE * span:
        return end
    return end + int(np.copysign(np.ceil(min(abs(way) * ADAPTATION, span * MOST_CHANGE)), way))
