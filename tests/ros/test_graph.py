"""Graphs of processes: their ROS domain."""

from __future__ import annotations

import rclpy

from sam2_ros.ros.graph import free_domain


def test_domain_in_use_is_not_chosen(ros_domain: int) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("other", context=context)
    try:
        assert ros_domain not in {free_domain() for _ in range(300)}
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
