"""`~/points`: the objects as a point cloud."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from sam2_ros.geometry.measured_frame import MeasuredFrame
from sam2_ros.ros import clouds
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.topics import Topics


class PointsOutput:
    """A cloud for every image with depth, also without points, while somebody subscribes."""

    def __init__(self, node: LifecycleNode, topics: Topics) -> None:
        self._node = node
        self._publisher = publisher(node, PointCloud2, topics.private("points"), depth=1)

    @property
    def wanted(self) -> bool:
        return bool(self._publisher.get_subscription_count())

    def publish(self, measured: MeasuredFrame, header: Header) -> None:
        layout = self._node.get_parameter("points_layout").value
        if layout == "objects":
            points = clouds.objects_cloud(measured)
        else:
            points = clouds.organised_cloud(measured, scene=layout == "scene")
        self._publisher.publish(clouds.to_message(points, header))
