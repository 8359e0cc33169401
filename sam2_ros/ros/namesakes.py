"""Detection of other nodes that have the same name or publish on the same topics."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from sam2_ros.ros.problems import WARN, Problem

UNKNOWN = "_NODE_NAME_UNKNOWN_"
"""rmw's name of the node of a publisher while the node is still, or no longer, known. It may be ours."""


class Namesakes:
    """Warns of duplicates of a node in the graph, once DDS has discovered them.

    Args:
        node: this node.
        topics: topics on which no other node should publish.
    """

    def __init__(self, node: Node, topics: Sequence[str]) -> None:
        self._node = node
        self._topics = topics
        self._last_warning = ""

    @property
    def problem(self) -> Problem | None:
        """What `new_warning` found when it was called last, if it still stands."""
        return Problem("duplicate", WARN, self._last_warning) if self._last_warning else None

    def new_warning(self) -> str | None:
        """A warning with a remedy; None: there is none, or it has not changed since the last call."""
        warning = self._warning()
        new = warning if warning != self._last_warning else ""
        self._last_warning = warning
        return new or None

    def _warning(self) -> str:
        node = self._node
        name = node.get_fully_qualified_name()
        names = [f"{namespace.rstrip('/')}/{name}" for name, namespace in node.get_node_names_and_namespaces()]
        if (number := names.count(name)) > 1:
            return (
                f"{number} nodes are called {name}: they receive the same prompts and publish on the same topics. Stop"
                " one, or start it under another name (--ros-args -r __node:=NAME, or name:= of the launch file). A"
                " node that was killed is listed for some more seconds"
            )
        for topic in self._topics:
            publishers = node.get_publishers_info_by_topic(topic)
            others = sorted(
                f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
                for publisher in publishers
                if (publisher.node_name, publisher.node_namespace) != (node.get_name(), node.get_namespace())
                and publisher.node_name != UNKNOWN
            )
            if others:
                return f"{', '.join(others)} publishes on {topic}, too: subscribers receive both. Remap one of them"
        return ""
