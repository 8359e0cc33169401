"""`~/masklets`: all tracked objects, for every image."""

from __future__ import annotations

import numpy as np
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.ros import masklets
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.masklet import Frame


class MaskletsOutput:
    """One `MaskletArray` for every image, also without objects."""

    def __init__(self, node: LifecycleNode, topics: Topics) -> None:
        self._publisher = publisher(node, msg.MaskletArray, topics.private("masklets"), depth=10)

    @property
    def topic(self) -> str:
        """The full name of the topic."""
        return self._publisher.topic_name

    def publish(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        self._publisher.publish(masklets.to_array(frame, header))
