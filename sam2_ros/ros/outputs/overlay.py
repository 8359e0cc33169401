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
        self._shown_at = float("-inf")  # s of the monotonic clock

    def publish(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        rate = self._value("overlay_max_rate")
        if not rate or time.monotonic() - self._shown_at >= 1 / rate:
            self.show(frame, header, image)

    def show(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """As `publish`, whatever the rate: people wait for what their prompts did."""
        raw, jpeg = self._raw.get_subscription_count(), self._jpeg.get_subscription_count()
        if raw or jpeg:
            self._shown_at = time.monotonic()
            opacity, labels = self._value("overlay_opacity"), self._value("overlay_labels")
            picture = self._renderer.draw(image, frame.masklets, opacity, labels)
            if raw:
                self._raw.publish(to_message(picture, "rgb8", header))
            if jpeg:
                self._jpeg.publish(to_jpeg(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), header))

    def _value(self, parameter: str):
        return self._node.get_parameter(parameter).value
