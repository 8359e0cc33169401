"""Non-maximum suppression of boxes."""

from __future__ import annotations

import numpy as np


def suppress(boxes: np.ndarray, scores: np.ndarray, max_iou: float) -> np.ndarray:
    """Keep the boxes that no better box overlaps by more than this IoU.

    Args:
        boxes: x0, y0, x1, y1: [N, 4].
        scores: [N]; of equal ones, the first counts as better.

    Returns:
        Indices of the boxes that are kept, best first: int64 [K].
    """
    left, top, right, bottom = boxes.astype(np.float32).T
    areas = (right - left) * (bottom - top)
    waiting = np.argsort(-scores, kind="stable")
    kept = []
    while len(waiting):
        best, others = waiting[0], waiting[1:]
        kept.append(best)
        width = np.minimum(right[best], right[others]) - np.maximum(left[best], left[others])
        height = np.minimum(bottom[best], bottom[others]) - np.maximum(top[best], top[others])
        common = width.clip(0) * height.clip(0)
        union = areas[best] + areas[others] - common
        waiting = others[~(common > max_iou * union)]
    return np.array(kept, np.int64)
