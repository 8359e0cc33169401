"""The cameras that sam2 nodes track, as they are found in the graph."""

from __future__ import annotations

from rclpy.node import Node

MASKLETS = "sam2_ros/msg/MaskletArray"

MAX_CAMERAS = 32
"""More are not shown."""


def cameras_in_graph(node: Node) -> list[str]:
    """Names of cameras: the beginnings of their topics, such as `/sam2` and `/sam2/front`, in order.

    A topic of masklets is a camera's if it has a publisher and if there is the service of prompts beside it: a bag that
    is played has the topic alone.
    """
    topics = [topic for topic, kinds in node.get_topic_names_and_types() if MASKLETS in kinds]
    names = [topic.removesuffix("/masklets") for topic in topics if topic.endswith("/masklets")]
    # A client alone makes a service listed, so that it has to be asked for a server.
    found = (
        name for name in names if node.count_publishers(f"{name}/masklets") and node.count_services(f"{name}/prompt")
    )
    return sorted(found)[:MAX_CAMERAS]
