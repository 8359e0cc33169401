"""The watch over simulated time: whether /clock is published, and runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from sam2_ros.ros.problems import WARN, Problem

CLOCK_TIMEOUT = 5.0
"""Seconds with a ROS time of 0, or one that stands still, until it is a problem."""


class ClockWatch:
    """Watches ROS time while it is simulated.

    Args:
        ros: returns ROS's time, ns.
        steady: a monotonic clock, s.
    """

    def __init__(self, ros: Callable[[], int], steady: Callable[[], float] = time.monotonic) -> None:
        self._ros = ros
        self._steady = steady
        self._before = -1
        self._moved = steady()

    def problem(self, simulated: bool) -> Problem | None:
        """The problem with ROS time, if there is one; to be called about once a second.

        Args:
            simulated: whether `use_sim_time` is set.
        """
        time_of_ros, now = self._ros(), self._steady()
        if not simulated or time_of_ros != self._before:
            self._before, self._moved = time_of_ros, now
        if now - self._moved <= CLOCK_TIMEOUT:
            return None
        if not time_of_ros:
            return Problem(
                "/clock",
                WARN,
                "use_sim_time is set, but /clock is not published: images without a stamp get their time of arrival."
                " Start the simulation, play the bag with --clock, or unset use_sim_time",
            )
        return Problem(
            "/clock",
            WARN,
            f"/clock has stood still at {time_of_ros / 1e9:.3f} s for {now - self._moved:.0f} s: is the simulation or the"
            " bag paused, or has it ended? Images are processed nevertheless",
        )
