"""Pictures of a run: what the contact sheet and the video have in common."""

from __future__ import annotations

import cv2
import numpy as np

MAX_LABELS = 12
"""Maximum number of objects with labels; with more, labels would hide the picture."""


def fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture, uint8 [h, w, 3], as large as possible in the middle of a black one of this height and width."""
    height, width = size
    if picture.shape[:2] == size:
        return picture
    scale = min(height / picture.shape[0], width / picture.shape[1])
    rows, columns = (max(1, round(scale * side)) for side in picture.shape[:2])
    whole = np.zeros((height, width, 3), np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    whole[top : top + rows, left : left + columns] = cv2.resize(
        picture, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return whole
