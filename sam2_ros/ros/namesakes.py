"""Other nodes with the same name, or that publish on the same topics."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node


class Namesakes:
    """Finds out from the graph when a node was started twice, once DDS has discovered the other.

    Args:
        node: this node.
        topics: on which no other node should publish.
    """

    def __init__(self, node: Node, topics: Sequence[str]) -> None:
        self._node = node
        self._topics = topics
        self._known = ""

    def new_warning(self) -> str | None:
        """What is wrong and what to do, if that has changed since the last call; else None."""
        found = self._find()
        new = found if found != self._known else ""
        self._known = found
        return new or None

    def _find(self) -> str:
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
            )
            if others:
                return f"{', '.join(others)} publishes on {topic}, too: subscribers receive both. Remap one of them"
        return ""
