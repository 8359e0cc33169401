"""Small holes in masks, and small islands beside them."""

from __future__ import annotations

import cv2
import numpy as np


def without_small_holes(mask: np.ndarray, min_area: int) -> np.ndarray:
    """Fill holes of fewer pixels than `min_area`. Corners connect: bool [H, W] -> bool [H, W]."""
    _, small = _small_regions(~mask, min_area)
    return mask | small


def without_small_islands(mask: np.ndarray, min_area: int) -> np.ndarray:
    """Remove parts of fewer pixels than `min_area`; if all are smaller, the largest stays: bool [H, W] to the same."""
    largest, small = _small_regions(mask, min_area)
    return mask & (~small | largest)


def _small_regions(mask: np.ndarray, min_area: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest region if all are smaller than `min_area`, else nothing; and all smaller ones. Both bool [H, W]."""
    count, regions, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = statistics[:, cv2.CC_STAT_AREA]
    small = areas < min_area
    small[0] = False  # what lies outside
    largest = np.zeros(count, bool)
    if count > 1 and small[1:].all():
        largest[1 + np.argmax(areas[1:])] = True
    return largest[regions], small[regions]
