"""Warnings about a node that was started twice, and about other publishers of its masklets."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.node import Node
from robot import Graph, Robot

from sam2_ros import msg
from sam2_ros.ros.namesakes import Namesakes
from sam2_ros.ros.node import Sam2Node


def test_single_node_has_no_warning(graph: Graph) -> None:
    node = graph.add(Sam2Node(context=graph.context))
    assert Namesakes(node, (node.resolve_topic_name("~/masklets"),)).new_warning() is None


def test_duplicate_name_warns_once_each_time_it_appears(graph: Graph, robot: Robot) -> None:
    node = graph.add(Sam2Node(context=graph.context))
    namesakes = Namesakes(node, ())
    for _ in range(2):
        other = graph.add(Node("sam2", context=graph.context))
        warnings: list[str] = []
        robot.wait_for(lambda: warnings.append(namesakes.new_warning() or "") or any(warnings), "for the duplicate")  # noqa: B023
        assert "2 nodes are called /sam2" in warnings[-1] and namesakes.new_warning() is None
        graph.remove(other)
        robot.wait_for(lambda: not namesakes._warning(), "for its disappearance")
        assert namesakes.new_warning() is None


def test_same_name_in_another_namespace_is_no_duplicate(graph: Graph, robot: Robot) -> None:
    node = graph.add(Sam2Node(context=graph.context))
    graph.add(Node("sam2", namespace="left", context=graph.context))
    robot.wait_for(lambda: ("sam2", "/left") in node.get_node_names_and_namespaces(), "for the other")
    assert Namesakes(node, (node.resolve_topic_name("~/masklets"),)).new_warning() is None


@pytest.mark.parametrize("active", [False, True])
def test_node_warns_of_another_publisher_on_its_topics(
    graph: Graph, robot: Robot, checkpoint: Path, capfd, active: bool
) -> None:
    robot.create_publisher(msg.MaskletArray, "sam2/masklets", 10)
    graph.sam2(checkpoint=str(checkpoint), autostart=active)
    warnings = robot.wait_for_line("publishes on /sam2/masklets")
    assert "/robot publishes" in warnings
