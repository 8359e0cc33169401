"""Subscriptions to depth images and to the camera's calibration."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from sam2_ros.ros.depth.measuring import Measuring
from sam2_ros.ros.depth.transport import depth_kind, depth_topic
from sam2_ros.ros.topics import Topics

_KINDS = QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY


def stamp_of(data: bytes) -> int:
    """The stamp of a serialized message that begins with a header, ns."""
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(sec * 1_000_000_000 + nanosec)


class DepthInput:
    """Passes depth on, as it comes from the network: only what matches an image is decoded."""

    def __init__(self, node: Node, topics: Topics, measuring: Measuring) -> None:
        self._node = node
        self._topics = topics
        self._measuring = measuring
        self._subscriptions: list[Subscription] = []

    @property
    def topic_names(self) -> list[str]:
        """Full names of the topics that are subscribed to."""
        return [subscription.topic_name for subscription in self._subscriptions]

    def open(self) -> None:
        """Subscribe."""
        topic = depth_topic(self._node, self._topics)
        self._subscribe(depth_kind(self._node), topic, self._on_depth, 5, _KINDS, raw=True)
        # A calibration that was published once, and kept, needs another durability.
        kinds = *_KINDS, QoSPolicyKind.DURABILITY
        self._subscribe(CameraInfo, self._topics.input("camera_info"), self._measuring.put_info, 1, kinds)

    def close(self) -> None:
        """Unsubscribe."""
        closed, self._subscriptions = self._subscriptions, []
        for subscription in closed:
            self._node.destroy_subscription(subscription)

    def _subscribe(
        self,
        kind: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        depth: int,
        overridable: Sequence[QoSPolicyKind],
        raw: bool = False,
    ) -> None:
        subscription = self._node.create_subscription(
            kind,
            topic,
            callback,
            QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT),
            callback_group=MutuallyExclusiveCallbackGroup(),
            qos_overriding_options=QoSOverridingOptions(overridable),
            raw=raw,
        )
        self._subscriptions.append(subscription)

    def _on_depth(self, data: bytes) -> None:
        stamp = stamp if (stamp := stamp_of(data)) > 0 else self._node.get_clock().now().nanoseconds
        self._measuring.put_depth(stamp, data)
