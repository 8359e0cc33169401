"""A processed image with what was tracked on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from std_msgs.msg import Header

from sam2_ros.tracking.masklet import Frame


@dataclass(frozen=True, eq=False)
class TrackedImage:
    """An image and its masklets. Nobody changes them: any thread may read them."""

    header: Header
    pixels: np.ndarray
    """uint8 [H, W, 3] RGB."""
    frame: Frame
