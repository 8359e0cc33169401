"""The watch over simulated time."""

from __future__ import annotations

import time

from rclpy.node import Node

CLOCK_TIMEOUT = 5.0
"""Seconds with a ROS time of 0 until a warning."""


class ClockWatch:
    """Notes whether /clock is published, if it is to be used."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clock_ran_at = time.monotonic()  # s, when ROS time was not 0 last

    def warning(self) -> str | None:
        """A warning if simulated time is configured but not published; None: all is well."""
        if not self._node.get_parameter("use_sim_time").value or self._node.get_clock().now().nanoseconds:
            self._clock_ran_at = time.monotonic()
        elif time.monotonic() - self._clock_ran_at > CLOCK_TIMEOUT:
            return (
                "use_sim_time is set, but /clock is not published: images without a stamp get their time of arrival."
                " Start the simulation, play the bag with --clock, or unset use_sim_time"
            )
        return None
