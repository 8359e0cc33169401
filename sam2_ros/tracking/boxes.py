"""Boxes: their overlaps, and larger ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sam2_ros.tracking.prompt import Box


def overlaps(first: Sequence[Box], second: Sequence[Box]) -> np.ndarray:
    """Intersection over union of each of N boxes with each of M: float64 [N, M], 0 .. 1; 0 for boxes without size."""
    a = np.array(first, np.float64).reshape(-1, 1, 4)
    b = np.array(second, np.float64).reshape(1, -1, 4)
    near, far = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    common = (far - near).clip(min=0).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def grown(box: Box, share: float) -> Box:
    """The box, larger on each side by a share of its size."""
    x, y, width, height = box
    return Box(x - share * width, y - share * height, (1 + 2 * share) * width, (1 + 2 * share) * height)
