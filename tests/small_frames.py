"""Frames with small masklets."""

from __future__ import annotations

import numpy as np
from robot import SIZE, stamp_of

from sam2_ros.tracking.masklet import Frame, Masklet


def masklet(object_id: int, x: int, y: int, width: int, height: int, label: str = "", present: bool = True) -> Masklet:
    """An object with a rectangular mask; absent: with an empty one."""
    mask = np.zeros(SIZE, bool)
    mask[y : y + height, x : x + width] = present
    return Masklet(object_id, label, present, 0.75 if present else 0.25, 0.5, mask)


def frame(*masklets: Masklet, index: int = 0) -> Frame:
    """The frame of the robot's image number `index`."""
    return Frame(stamp_of(index), *SIZE, masklets)
