"""`~/objects_3d`: boxes around the objects."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from sam2_ros.geometry.box import Box3D
from sam2_ros.geometry.measured_frame import MeasuredFrame, MeasuredObject
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.topics import Topics
from sam2_ros.ros.vision_messages import vision_messages


class Objects3DOutput:
    """A `Detection3DArray` for every image with depth, also without objects, while somebody subscribes.

    Where vision_msgs is not installed, nobody can.
    """

    def __init__(self, node: LifecycleNode, topics: Topics) -> None:
        self._node = node
        self._publisher: Publisher | None = None
        if (vision := vision_messages()) is not None:
            self._publisher = publisher(node, vision.Detection3DArray, topics.private("objects_3d"), depth=10)

    @property
    def wanted(self) -> bool:
        return self._publisher is not None and bool(self._publisher.get_subscription_count())

    def publish(self, measured: MeasuredFrame, header: Header) -> None:
        if self._publisher is not None:
            is_oriented = self._node.get_parameter("boxes_3d").value == "oriented"
            self._publisher.publish(to_array(measured, header, is_oriented))


def to_array(measured: MeasuredFrame, header: Header, is_oriented: bool) -> Any:
    """A `Detection3DArray` of all measured objects. Needs vision_msgs."""
    vision = vision_messages()
    assert vision is not None
    detections = [_detection(vision, one, header, is_oriented) for one in measured.objects]
    return vision.Detection3DArray(header=header, detections=detections)


def _detection(vision: ModuleType, one: MeasuredObject, header: Header, is_oriented: bool) -> Any:
    """Ours in the terms of vision_msgs: the label is the class, presence the score, the centroid the pose."""
    box = one.oriented if is_oriented else one.axis_aligned
    hypothesis = vision.ObjectHypothesis(class_id=one.masklet.label, score=float(one.masklet.presence))
    pose = PoseWithCovariance(pose=_pose(one.points.centroid))
    result = vision.ObjectHypothesisWithPose(hypothesis=hypothesis, pose=pose)
    x, y, z = map(float, box.size)
    bounds = vision.BoundingBox3D(center=_pose(box.centre, box), size=Vector3(x=x, y=y, z=z))
    return vision.Detection3D(header=header, results=[result], bbox=bounds, id=str(one.masklet.object_id))


def _pose(position: np.ndarray, box: Box3D | None = None) -> Pose:
    """A position with the orientation of a box, or of the camera."""
    (x, y, z), (i, j, k, w) = map(float, position), (0.0, 0.0, 0.0, 1.0) if box is None else box.quaternion
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=i, y=j, z=k, w=w))
