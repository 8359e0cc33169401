"""The interface of everything that is published for every image."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from std_msgs.msg import Header

from sam2_ros.tracking.masklet import Frame


class FrameOutput(Protocol):
    """Publishes something for every processed image. Costs nothing while nobody listens."""

    def publish(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """Handle a processed image, in the stream's thread.

        Args:
            header: the image's.
            image: uint8 [H, W, 3] RGB.
        """
