"""`/tf`: the objects as frames."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from sam2_ros.geometry.measured_frame import MeasuredFrame
from sam2_ros.ros.log import Log
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.topics import Topics


class ObjectFramesOutput:
    """The centroid of each visible object as a frame, with the axes of the camera, if `publish_tf` is set.

    An object's frame is named after the node and the camera: `sam2/front/object_3`.
    """

    def __init__(self, node: LifecycleNode, topics: Topics, log: Log) -> None:
        self._node = node
        self._log = log
        self._prefix = "/".join(filter(None, [node.get_fully_qualified_name().strip("/"), topics.camera]))
        self._publisher: Publisher | None = None
        self._message = transform_message()
        if self._message is not None:
            self._publisher = publisher(node, self._message, "/tf", depth=100)

    @property
    def wanted(self) -> bool:
        if not self._node.get_parameter("publish_tf").value:
            return False
        if self._publisher is None:
            self._log.warning("publish_tf has no effect: tf2_msgs is not installed", once=True)
        return self._publisher is not None

    def publish(self, measured: MeasuredFrame, header: Header) -> None:
        if not header.frame_id:
            self._log.warning(
                "publish_tf has no effect: the images have no frame_id, so that the objects' frames would have no"
                " parent; set the frame_id of the camera",
                once=True,
            )
        elif self._publisher is not None and self._message is not None and measured.objects:
            transforms = []
            for one in measured.objects:
                x, y, z = map(float, one.points.centroid)
                transform = Transform(translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(w=1.0))
                name = f"{self._prefix}/object_{one.masklet.object_id}"
                transforms.append(TransformStamped(header=header, child_frame_id=name, transform=transform))
            self._publisher.publish(self._message(transforms=transforms))


def transform_message() -> type[Any] | None:
    """The type `tf2_msgs/TFMessage`; None where it is not installed."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        return None
    kind: type[Any] = TFMessage
    return kind
