"""Subscriptions to depth images and to the camera's calibration."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from sam2_ros.data.message_stamp import stamp_of
from sam2_ros.ros.depth.measuring import Measuring
from sam2_ros.ros.depth.transport import depth_kind, depth_topic
from sam2_ros.ros.subscriptions import OVERRIDABLE, Subscriptions
from sam2_ros.ros.topics import Topics


class DepthInput(Subscriptions):
    """Passes depth on, as it comes from the network: only what matches an image is decoded."""

    def __init__(self, node: Node, topics: Topics, measuring: Measuring) -> None:
        super().__init__(node)
        self._topics = topics
        self._measuring = measuring

    def open(self) -> None:
        """Subscribe."""
        topic = depth_topic(self._node, self._topics)
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscribe(depth_kind(self._node), topic, self._on_depth, qos, raw=True)
        # A calibration that was published once, and kept, needs another durability.
        kinds = *OVERRIDABLE, QoSPolicyKind.DURABILITY
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscribe(CameraInfo, self._topics.input("camera_info"), self._measuring.put_info, qos, kinds)

    def _on_depth(self, data: bytes) -> None:
        stamp = stamp if (stamp := stamp_of(data)) > 0 else self._node.get_clock().now().nanoseconds
        self._measuring.put_depth(stamp, data)
