"""Masks of single objects in image files, for prompts."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_mask(file: str | Path) -> np.ndarray:
    """The mask in an image file, bool [H, W]: pixels that are not black, or, with soft edges, those nearer to white.

    Raises:
        ValueError: the file cannot be read, or is all black.
    """
    from PIL import Image as Picture  # optional: clicks do not need it

    try:
        with Picture.open(file) as picture:
            # Palettes are converted to colours, and alpha is ignored.
            pixels = np.asarray(picture if picture.mode in ("1", "L", "I", "I;16", "F") else picture.convert("RGB"))
    except (OSError, SyntaxError, Picture.DecompressionBombError) as error:
        raise ValueError(f"{file} cannot be read as an image ({error})") from error
    values = pixels.max(axis=-1) if pixels.ndim == 3 else pixels
    drawn = values > 0
    if not drawn.any():
        raise ValueError(f"{file} is all black: the object's pixels must not be black")
    # A black and white mask that was enlarged or saved as JPEG has grey edges and nearly black specks.
    soft = values.dtype == np.uint8 and (values[drawn] >= 250).mean() >= 0.5
    return values > 127 if soft else drawn
