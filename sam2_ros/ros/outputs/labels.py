"""`~/labels`: the object ID in each pixel."""

from __future__ import annotations

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.ros import masklets
from sam2_ros.ros.images import to_message
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.masklet import Frame


class LabelsOutput:
    """A mono16 image for every image while somebody subscribes."""

    def __init__(self, node: LifecycleNode, topics: Topics) -> None:
        self._publisher = publisher(node, Image, topics.private("labels"), depth=1)

    def publish(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        if self._publisher.get_subscription_count():
            self._publisher.publish(to_message(masklets.label_image(frame), "mono16", header))
