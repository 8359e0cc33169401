"""The interface of everything that is published of the shapes of objects."""

from __future__ import annotations

from typing import Protocol

from std_msgs.msg import Header

from sam2_ros.geometry.measured_frame import MeasuredFrame


class ShapeOutput(Protocol):
    """Publishes something for every image with depth."""

    @property
    def wanted(self) -> bool:
        """Whether somebody listens. Otherwise nothing is measured for it."""

    def publish(self, measured: MeasuredFrame, header: Header) -> None:
        """Handle an image with its depth, in the thread of the depth; `header` is the image's."""
