"""Region similarity J and boundary accuracy F of one mask against the truth.

Defined as in the DAVIS benchmark (Perazzi et al., CVPR 2016, section 5); equal to the numbers of the DAVIS 2017 and
SA-V evaluation tools.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

TOLERANCE = 0.008
"""Maximum distance of matching outlines, relative to the image's diagonal; rounded up to whole pixels."""


def region_similarity(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks, bool [H, W]; 0 .. 1, and 1 where both are empty."""
    _check(mask, truth)
    union = np.count_nonzero(mask | truth)
    return np.count_nonzero(mask & truth) / union if union else 1.0


def boundary_accuracy(mask: np.ndarray, truth: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """F-measure of the outline of `mask` against that of `truth`, bool [H, W]; 0 .. 1.

    A pixel of one outline matches if the other outline is at most `tolerance` diagonals away, rounded up to whole
    pixels. 1 if neither mask has an outline (empty, or the whole image), 0 if only one has.
    """
    _check(mask, truth)
    radius = math.ceil(tolerance * math.hypot(*mask.shape))
    x, y, width, height = cv2.boundingRect((mask | truth).view(np.uint8))
    # Cropped for speed: pixels further than one from both masks have no outline, and distances are the same.
    rows = slice(max(y - 1, 0), y + height + 1)
    columns = slice(max(x - 1, 0), x + width + 1)
    outline, true_outline = _outline(mask[rows, columns]), _outline(truth[rows, columns])
    count, true_count = np.count_nonzero(outline), np.count_nonzero(true_outline)
    if not count or not true_count:
        return float(count == true_count)
    precision = np.count_nonzero(outline & _within(true_outline, radius)) / count
    recall = np.count_nonzero(true_outline & _within(outline, radius)) / true_count
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _check(mask: np.ndarray, truth: np.ndarray) -> None:
    if mask.shape != truth.shape or mask.ndim != 2:
        raise ValueError(f"mask and truth must be [H, W] and of one size, got {mask.shape} and {truth.shape}")
    if mask.dtype != bool or truth.dtype != bool:
        raise ValueError(f"mask and truth must be bool, got {mask.dtype} and {truth.dtype}")


def _outline(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from the one to the right, below, or diagonally below; bool [H, W]."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask ^ right) | (mask ^ below) | (mask ^ diagonal)


def _within(outline: np.ndarray, radius: int) -> np.ndarray:
    """Pixels at most `radius` pixels from the outline: its dilation by a disk; bool [H, W]."""
    distance = cv2.distanceTransform((~outline).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Distances are roots of integers: the smallest one beyond the radius is more than 1 / (2 radius + 1) further away.
    return distance < radius + 1 / (2 * radius + 2)
