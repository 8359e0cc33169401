"""Contact sheets: thumbnails of frames in one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.overlay import Overlay

SIDE = 306
"""Width of a thumbnail, pixels."""
MAX_HEIGHT = 8
"""Of a thumbnail, as a multiple of its width; a line of pixels would fill the memory."""
PAPER, INK, FAINT = (250, 250, 250), (24, 26, 32), (120, 124, 134)
MARGIN, GAP, CAPTION = 16, 8, 22


def thumbnail(
    image: np.ndarray,
    masklets: Sequence[Masklet],
    overlay: Overlay | None = None,
    side: int = SIDE,
    labels: bool = True,
) -> np.ndarray:
    """Thumbnail of an image with its overlay, which is drawn at that size to stay legible: uint8 [h, w, 3] RGB.

    Args:
        image: uint8 [H, W, 3] RGB.
        overlay: that of the stream, which gives objects the same colours on all images.
        side: width, pixels.
        labels: False: no text.
    """
    small = _shrunk(image, side)
    height, width = small.shape[:2]
    shrunk = []
    for masklet in masklets:
        mask = cv2.resize(masklet.mask.view(np.uint8) * 255, (width, height), interpolation=cv2.INTER_AREA) > 127
        shrunk.append(replace(masklet, mask=mask))
    return (overlay or Overlay()).draw(small, shrunk, labels=labels)


def contact_sheet(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    title: str,
    subtitle: str = "",
    columns: int = 4,
    side: int = SIDE,
) -> np.ndarray:
    """Lay out pictures of one shape, uint8 [H, W, 3] RGB, row by row under a title: uint8 [height, width, 3]."""
    columns = min(columns, len(images))
    small = [_shrunk(image, side) for image in images]
    height = small[0].shape[0]
    top = MARGIN + 34 + (24 if subtitle else 0)
    rows = math.ceil(len(images) / columns)
    size = (2 * MARGIN + columns * (side + GAP) - GAP, top + rows * (height + CAPTION + GAP) + MARGIN - GAP)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    draw.text((MARGIN, MARGIN - 4), title, INK, ImageFont.load_default(24), stroke_width=0.3)
    draw.text((MARGIN, MARGIN + 28), subtitle, FAINT, font)
    for index, (picture, words) in enumerate(zip(small, captions, strict=True)):
        x, y = MARGIN + index % columns * (side + GAP), top + index // columns * (height + CAPTION + GAP)
        sheet.paste(Image.fromarray(picture), (x, y))
        draw.text((x + 2, y + height + 3), words, FAINT, font)
    return np.asarray(sheet)


def _shrunk(image: np.ndarray, side: int) -> np.ndarray:
    height = min(max(1, round(side * image.shape[0] / image.shape[1])), MAX_HEIGHT * side)
    filter = cv2.INTER_AREA if image.shape[1] > side else cv2.INTER_CUBIC
    return cv2.resize(image, (side, height), interpolation=filter) if image.shape[1] != side else image
