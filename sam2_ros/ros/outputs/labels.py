"""`~/labels` and `~/labels/color`: the object ID in each pixel, as a number and as a colour."""

from __future__ import annotations

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.ros import label_images
from sam2_ros.ros.images import to_message
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.masklet import Frame


class LabelsOutput:
    """A mono16 image, for programs, or an rgb8 image, for people, for every image while somebody subscribes."""

    def __init__(self, node: LifecycleNode, topics: Topics) -> None:
        self._numbers = publisher(node, Image, topics.private("labels"), depth=1)
        self._colours = publisher(node, Image, topics.private("labels/color"), depth=1)

    def publish(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        if self._numbers.get_subscription_count():
            self._numbers.publish(to_message(label_images.label_image(frame), "mono16", header))
        if self._colours.get_subscription_count():
            self._colours.publish(to_message(label_images.coloured_labels(frame), "rgb8", header))
