"""Type and QoS for a subscription to a topic, taken from its publishers."""

from __future__ import annotations

from importlib import import_module

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo


def message_type(publishers: list[TopicEndpointInfo]) -> type:
    """The Python class of the publishers' messages. Raises ImportError if its package is not installed."""
    package, _, name = publishers[0].topic_type.split("/")
    return getattr(import_module(f"{package}.msg"), name)


def matching_qos(publishers: list[TopicEndpointInfo], depth: int) -> QoSProfile:
    """The strongest QoS that all publishers offer: a reliable subscription does not match a best-effort publisher."""
    reliable = all(publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE for publisher in publishers)
    latched = all(publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for publisher in publishers)
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
