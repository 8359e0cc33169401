"""How depth comes: raw or compressed."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from sam2_ros.ros.topics import Topics


def depth_kind(node: Node) -> type[Any]:
    """The type of the depth messages."""
    return CompressedImage if _is_compressed(node) else Image


def depth_topic(node: Node, topics: Topics) -> str:
    """The full name of the topic of the depth images."""
    name: str = node.resolve_topic_name(topics.input("depth"))
    return f"{name}/compressedDepth" if _is_compressed(node) else name


def _is_compressed(node: Node) -> bool:
    return bool(node.get_parameter("depth_transport").value == "compressedDepth")
