"""The watch over simulated time: whether /clock is published, and runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.node import Node

from sam2_ros.ros.problems import WARN, Problem

CLOCK_TIMEOUT = 5.0
"""Seconds with a ROS time of 0, or one that stands still, until it is a problem."""


class ClockWatch:
    """Notes whether ROS time runs, if it is simulated.

    Args:
        steady: a monotonic clock, s.
    """

    def __init__(self, node: Node, steady: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._steady = steady
        self._before = -1  # ROS time, ns
        self._moved = steady()

    def problem(self) -> Problem | None:
        """The problem with ROS time, if there is one; to be called about once a second."""
        simulated = self._node.get_parameter("use_sim_time").value
        time_of_ros, now = self._node.get_clock().now().nanoseconds, self._steady()
        if not simulated or time_of_ros != self._before:
            self._before, self._moved = time_of_ros, now
        if now - self._moved <= CLOCK_TIMEOUT:
            return None
        if not time_of_ros:
            text = (
                "use_sim_time is set, but /clock is not published: images without a stamp get their time of arrival."
                " Start the simulation, play the bag with --clock, or unset use_sim_time"
            )
        else:
            text = (
                f"/clock has stood still at {time_of_ros / 1e9:.3f} s for {now - self._moved:.0f} s: is the simulation"
                " or the bag paused, or has it ended? Images are processed nevertheless"
            )
        return Problem("/clock", WARN, text)
