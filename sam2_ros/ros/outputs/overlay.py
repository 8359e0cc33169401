"""`~/overlay` and `~/overlay/compressed`: the image with outlines and labels."""

from __future__ import annotations

import time

import cv2
import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros.ros.images import to_jpeg, to_message
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.rate_limit import RateLimit
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.overlay import Overlay


class OverlayOutput:
    """An rgb8 image, or a JPEG, while somebody subscribes."""

    def __init__(self, node: LifecycleNode, topics: Topics) -> None:
        self._node = node
        self._raw = publisher(node, Image, topics.private("overlay"), depth=1)
        self._jpeg = publisher(node, CompressedImage, topics.private("overlay/compressed"), depth=1)
        self._renderer = Overlay()  # keeps the colours of objects
        self._limit = RateLimit()

    def publish(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        if self._is_heard() and self._limit.admits(time.monotonic_ns(), self._value("overlay_max_rate")):
            self.show(frame, header, image)

    def show(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """As `publish`, whatever the rate: people wait for what their prompts did."""
        if self._is_heard():
            opacity, labels = self._value("overlay_opacity"), self._value("overlay_labels")
            picture = self._renderer.draw(image, frame.masklets, opacity, labels)
            if self._raw.get_subscription_count():
                self._raw.publish(to_message(picture, "rgb8", header))
            if self._jpeg.get_subscription_count():
                self._jpeg.publish(to_jpeg(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), header))

    def _is_heard(self) -> bool:
        return bool(self._raw.get_subscription_count() or self._jpeg.get_subscription_count())

    def _value(self, parameter: str):
        return self._node.get_parameter(parameter).value
