"""`~/detections_2d`: the visible objects as detections, for nodes that know nothing of masks."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.topics import Topics
from sam2_ros.ros.vision_messages import vision_messages
from sam2_ros.tracking.masklet import Frame, Masklet

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2D


class Detections2DOutput:
    """One `Detection2DArray` for every image while somebody subscribes. Needs vision_msgs, or publishes nothing.

    Only visible objects are in it, since other nodes take a detection for a thing that is there. The ID is the
    object's, the label is the class, and the presence is its score.
    """

    def __init__(self, node: LifecycleNode, topics: Topics) -> None:
        self._messages = vision_messages()
        if self._messages is not None:
            kind = self._messages.Detection2DArray
            self._publisher = publisher(node, kind, topics.private("detections_2d"), depth=10)

    def publish(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        if (vision := self._messages) is not None and self._publisher.get_subscription_count():
            detections = [_detection(vision, masklet, header) for masklet in frame.masklets if masklet.present]
            self._publisher.publish(vision.Detection2DArray(header=header, detections=detections))


def _detection(vision: ModuleType, masklet: Masklet, header: Header) -> Detection2D:
    box = masklet.box
    x, y = float(box.x + box.width / 2), float(box.y + box.height / 2)
    hypothesis = vision.ObjectHypothesis(class_id=masklet.label, score=float(masklet.presence))
    return vision.Detection2D(
        header=header,
        results=[vision.ObjectHypothesisWithPose(hypothesis=hypothesis)],
        bbox=vision.BoundingBox2D(
            center=vision.Pose2D(position=vision.Point2D(x=x, y=y)),
            size_x=float(box.width),
            size_y=float(box.height),
        ),
        id=str(masklet.object_id),
    )
