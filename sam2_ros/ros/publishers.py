"""Publishers whose QoS parameters may override."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions


def publisher(node: LifecycleNode, kind: type[Any], topic: str, depth: int, always: bool = False) -> Publisher:
    """A publisher that publishes while the node is active, or always."""
    create = node.create_publisher if always else node.create_lifecycle_publisher
    options = QoSOverridingOptions.with_default_policies()
    return create(kind, topic, QoSProfile(depth=depth), qos_overriding_options=options)
