"""The watch over a subscription to images: why none arrive."""

from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.subscription import Subscription

IMAGE_TIMEOUT = 5.0
"""Seconds without an image until a warning."""


class ImageWatch:
    """Notes when images arrive.

    Args:
        images: the subscription; it counts from now.
    """

    def __init__(self, node: Node, images: Subscription) -> None:
        self._node = node
        self._images = images
        self._last_image = time.monotonic()  # s; at first the time of the subscription

    def image_arrived(self) -> None:
        self._last_image = time.monotonic()

    def warning(self) -> str | None:
        """How long no image has come, with the likely reason; None: images come."""
        without = time.monotonic() - self._last_image
        if without < IMAGE_TIMEOUT:
            return None
        topic, kind = self._images.topic_name, self._images.msg_type.__name__
        types = sorted({info.topic_type for info in self._node.get_publishers_info_by_topic(topic)})
        if topic.endswith("/compressed"):
            other, transport = topic.removesuffix("/compressed"), "raw"
        else:
            other, transport = f"{topic}/compressed", "compressed"
        if self._images.get_publisher_count():
            hint = "its publisher sends nothing, or nothing arrives (README: large images get lost)"
        elif types:
            hint = f"the type published there is {', '.join(types)}"
        elif self._node.count_publishers(other):
            hint = f"there is no publisher, but there is one on {other}: set image_transport to {transport}"
        else:
            hint = "there is no publisher: set the image argument of the launch file, or remap `image`"
        return f"No {kind} has come on {topic} for {without:.0f} s; {hint}"
