"""Many frames on one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT = (250, 250, 250), (24, 26, 32), (120, 124, 134)
MARGIN, GAP = 16, 8


def contact_sheet(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    title: str,
    subtitle: str = "",
    columns: int = 4,
    width: int = 1280,
) -> np.ndarray:
    """Pictures, uint8 [H, W, 3] RGB, all scaled to the size of the first one's thumbnail, row by row under a title.

    Returns uint8 [height, `width`, 3] RGB.
    """
    columns = min(columns, len(images))
    side = (width - 2 * MARGIN - (columns - 1) * GAP) // columns
    height = round(side * images[0].shape[0] / images[0].shape[1])
    large, small = ImageFont.load_default(24), ImageFont.load_default(14)
    caption = 22
    top = MARGIN + 34 + (24 if subtitle else 0)
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (width, top + rows * (height + caption + GAP) + MARGIN - GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN - 4), title, INK, large, stroke_width=0.3)
    draw.text((MARGIN, MARGIN + 28), subtitle, FAINT, small)
    for index, (image, words) in enumerate(zip(images, captions, strict=True)):
        x = MARGIN + index % columns * (side + GAP)
        y = top + index // columns * (height + caption + GAP)
        shrinks = image.shape[1] > side
        thumbnail = cv2.resize(image, (side, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        sheet.paste(Image.fromarray(thumbnail), (x, y))
        draw.text((x + 2, y + height + 3), words, FAINT, small)
    return np.asarray(sheet)
