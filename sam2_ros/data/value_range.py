"""Range of values between black and white for 16-bit images, adapted from image to image of a stream."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np

MIN_FULL_SPAN = 2**14
"""Minimum span of values of an image that uses all 16 bits, and is not stretched. Infrared and thermal cameras have 10
to 14 bits, or use a small part of the scale."""
MIN_USED_SHARE = 1 / 16
"""Minimum share of the range that an image must use; an image within less, 16 of 256 grey levels, resets the range."""
MIN_SPAN = 64
"""Minimum number of values between black and white, so that noise is not stretched."""
MIN_QUARTILE_DISTANCE = 4
"""Minimum distance between the quartiles of an image; below it, the image has only noise, and no background whose
contrast counts."""
INNER, OUTER = 1.5, 8.0
"""Reach of the range beyond the quartiles of an image, in distances between them: minimum, if there are values, and
maximum. Values further out, such as hot objects, become white or black."""
ADAPTATION = 1 / 16
"""Share of the distance to its target by which an end of the range moves with each image."""
MAX_CHANGE = 1 / 32
"""Maximum move of an end with each image, as a share of the range: 8 grey levels."""
TOLERANCE = 1 / 32
"""Maximum distance of an end from its target without moving, as a share of the range."""
_SAMPLE_SIZE = 2**14
"""Number of sampled pixels of an image."""


@dataclass(frozen=True)
class ValueRange:
    """Values that become black and white, 0 <= low < high <= 65535."""

    low: int
    high: int

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


FULL = ValueRange(0, 65535)


def parse_range(text: str) -> ValueRange | None:
    """Parse `full`, MIN..MAX, or `auto`, which gives None: adapted to images. Raises ValueError."""
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
    """The range for an image, from that of the previous image in the stream.

    The first image sets the range. Later ones move it slowly, and only if necessary, so that the picture does not
    flicker when hot objects appear. If most of an image lies outside, or all of it within a small part, the camera has
    changed its gain or begun with an empty image, and the range is reset.

    Args:
        before: the previous range; None: the image is the first.
        pixels: uint16 [H, W] or [H, W, 3].
    """
    values = _sampled(pixels)
    if not values.size:  # only black and white
        return before or FULL
    places = np.array((0.001, 0.25, 0.5, 0.75, 0.999)) * (values.size - 1)
    least, quarter, middle, three_quarters, most = values[places.round().astype(int)].tolist()
    spread = three_quarters - quarter
    inner, outer = (
        _around(max(least, quarter - margin), min(most, three_quarters + margin))
        for margin in ((INNER * spread, OUTER * spread) if spread >= MIN_QUARTILE_DISTANCE else (FULL.high, FULL.high))
    )
    span = before.high - before.low if before else 0
    if before is None or middle not in before or outer.high - outer.low < MIN_USED_SHARE * span:
        return FULL if most - least >= MIN_FULL_SPAN else outer
    if before == FULL:
        return FULL
    if inner.high - inner.low >= MIN_FULL_SPAN:
        inner = outer = FULL
    low = _moved(before.low, outer.low, inner.low, span)
    high = _moved(before.high, inner.high, outer.high, span)
    return FULL if inner == FULL and (low, high) == (before.low, before.high) else ValueRange(low, high)


def to_8_bits(pixels: np.ndarray, values: ValueRange) -> np.ndarray:
    """Convert uint16 to uint8: 0 at the low end of the range and below, 255 at the high end and above."""
    if values.low:
        pixels = np.maximum(pixels, np.uint16(values.low)) - np.uint16(values.low)
    return cv2.convertScaleAbs(pixels, alpha=255 / (values.high - values.low))


def _sampled(pixels: np.ndarray) -> np.ndarray:
    """Sorted values on a grid, without 0 and 65535: borders of rectified images, dead or saturated pixels."""
    height, width = pixels.shape[:2]
    step = max(1, int((height * width / _SAMPLE_SIZE) ** 0.5))
    values = pixels[::step, ::step].ravel()
    return np.sort(values[(values != FULL.low) & (values != FULL.high)], kind="stable")  # the fast one for 16 bits


def _around(low: float, high: float) -> ValueRange:
    """The range from low to high, widened to MIN_SPAN."""
    first, last = int(low), int(np.ceil(high))
    if last - first < MIN_SPAN:
        first = min(max(0, (first + last - MIN_SPAN) // 2), FULL.high - MIN_SPAN)
        last = first + MIN_SPAN
    return ValueRange(first, last)


def _moved(end: int, least: int, most: int, span: int) -> int:
    """An end of a range of this span, moved towards its target, least .. most."""
    way = min(max(end, least), most) - end
    if abs(way) <= TOLERANCE * span:
        return end
    return end + int(np.copysign(np.ceil(min(abs(way) * ADAPTATION, span * MAX_CHANGE)), way))
