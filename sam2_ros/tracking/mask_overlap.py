"""Which masks are alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sam2_ros.tracking.masklet import Masklet

SAME_OBJECT = 0.7
"""Minimum IoU of two masks of one object."""


def mask_iou(first: np.ndarray, second: np.ndarray) -> float:
    """The IoU of two masks, bool [H, W]; 0 if both are empty."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 0.0


def object_with(mask: np.ndarray, masklets: Iterable[Masklet], min_iou: float = SAME_OBJECT) -> int:
    """The ID of the visible object whose mask is most similar to this one, bool [H, W]; 0: no mask is similar enough.

    Args:
        masklets: of the same image.
        min_iou: minimum IoU, exclusive.
    """
    area = np.count_nonzero(mask)
    best, best_id = min_iou, 0
    for masklet in masklets:
        smaller, larger = sorted((area, np.count_nonzero(masklet.mask)))
        if smaller <= best * larger:  # even if one contained the other
            continue
        if (overlap := mask_iou(mask, masklet.mask)) > best:
            best, best_id = overlap, masklet.object_id
    return best_id
