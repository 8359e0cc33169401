"""The size that images are resized to. The paper uses squares; a network without fixed positions takes any size."""

from __future__ import annotations

import math
import re
from functools import lru_cache

STRIDE = 32
"""Input sizes are multiples of this, the stride of the encoder's last stage: pixels."""
MAX_SIDE = 4096
"""Maximum side of the square, pixels."""
MAX_DIFFERENCE = 0.1
"""Relative difference, at most, between the pixels of an input size and of the square."""
IMAGE = "image"
"""Aspect that keeps that of each image."""


def parse_aspect(aspect: str) -> tuple[int, int]:
    """Width and height of an aspect like "16:9" or "1280x720". Raises ValueError."""
    sides = isinstance(aspect, str) and re.fullmatch("([1-9][0-9]{,4})[:x]([1-9][0-9]{,4})", aspect, re.ASCII)
    if not sides:
        raise ValueError(f"expected an aspect like 16:9 or 1280x720, or {IMAGE!r} (that of each image), not {aspect!r}")
    return int(sides[1]), int(sides[2])


@lru_cache(maxsize=64)
def nearest_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Of all rectangles with about as many pixels as a square, the one with the aspect closest to an image's.

    Args:
        height, width: of the image.
        side: of the square.

    Returns:
        Height and width, multiples of `STRIDE`.
    """
    square = side**2
    fewest, most = (1 - MAX_DIFFERENCE) * square, (1 + MAX_DIFFERENCE) * square
    sizes = [
        (rows, columns)
        for rows in range(STRIDE, int(most / STRIDE) + 1, STRIDE)
        for columns in range(math.ceil(fewest / rows / STRIDE) * STRIDE, int(most / rows) + 1, STRIDE)
    ]
    distortions = [abs(math.log(columns * height / (rows * width))) for rows, columns in sizes]
    return min(zip(distortions, sizes, strict=True), key=lambda pair: (pair[0], abs(math.prod(pair[1]) - square)))[1]
