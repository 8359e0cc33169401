"""`~/objects_3d`: boxes around the objects."""

from __future__ import annotations

from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from sam2_ros.geometry.box import Box3D
from sam2_ros.geometry.measured_frame import MeasuredFrame, MeasuredObject
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.topics import Topics

try:
    from vision_msgs.msg import (
        BoundingBox3D,
        Detection3D,
        Detection3DArray,
        ObjectHypothesis,
        ObjectHypothesisWithPose,
    )
except ImportError:
    Detection3DArray = None


class Objects3DOutput:
    """A `Detection3DArray` for every image with depth, also without objects, while somebody subscribes.

    Where vision_msgs is not installed, nobody can.
    """

    def __init__(self, node: LifecycleNode, topics: Topics) -> None:
        self._node = node
        self._publisher: Publisher | None = None
        if Detection3DArray is not None:
            self._publisher = publisher(node, Detection3DArray, topics.private("objects_3d"), depth=10)

    @property
    def wanted(self) -> bool:
        return self._publisher is not None and bool(self._publisher.get_subscription_count())

    def publish(self, measured: MeasuredFrame, header: Header) -> None:
        if self._publisher is not None:
            is_oriented = self._node.get_parameter("boxes_3d").value == "oriented"
            detections = [_detection(one, is_oriented, header) for one in measured.objects]
            self._publisher.publish(Detection3DArray(header=header, detections=detections))


def _detection(one: MeasuredObject, is_oriented: bool, header: Header) -> Detection3D:
    """Ours in the terms of vision_msgs: the label is the class, presence the score, the centroid the pose."""
    box = one.oriented if is_oriented else one.axis_aligned
    hypothesis = ObjectHypothesis(class_id=one.masklet.label, score=float(one.masklet.presence))
    result = ObjectHypothesisWithPose(hypothesis=hypothesis, pose=PoseWithCovariance(pose=_pose(one.points.centroid)))
    x, y, z = map(float, box.size)
    bounds = BoundingBox3D(center=_pose(box.centre, box), size=Vector3(x=x, y=y, z=z))
    return Detection3D(header=header, results=[result], bbox=bounds, id=str(one.masklet.object_id))


def _pose(position, box: Box3D | None = None) -> Pose:
    """A position with the orientation of a box, or of the camera."""
    (x, y, z), (i, j, k, w) = map(float, position), (0.0, 0.0, 0.0, 1.0) if box is None else box.quaternion
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=i, y=j, z=k, w=w))
