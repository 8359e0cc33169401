"""Stamps for unstamped images, whatever ROS's time does."""

from __future__ import annotations

import pytest

from sam2_ros.ros.arrival_clock import ArrivalClock

SECOND = 1_000_000_000


class Clocks:
    """A clock with adjustable ROS time and steady time."""

    def __init__(self, ros: int = 0) -> None:
        self.ros, self.steady = ros, 50.0
        self.clock = ArrivalClock(lambda: self.ros, lambda: self.steady)

    def after(self, seconds: float, ros: int) -> int:
        self.steady += seconds
        self.ros = ros
        return self.clock.now()


def test_clock_follows_advancing_ros_time() -> None:
    clocks = Clocks()
    assert [clocks.after(0.1, ros) for ros in (7 * SECOND, 8 * SECOND, 8 * SECOND + 1)] == [
        7 * SECOND,
        8 * SECOND,
        8 * SECOND + 1,
    ]


def test_clock_advances_without_ros_time() -> None:
    clocks = Clocks()
    assert [clocks.after(0.5, 0) for _ in range(3)] == [SECOND // 2, SECOND, 3 * SECOND // 2]


@pytest.mark.parametrize(
    "ros", [[0, 0, 100, 100, 101], [10, 11, 11, 11, 12], [10, 11, 3, 4, 12], [0, 0, 5, 0, 0], [9, 9, 9, 8, 8]]
)
def test_clock_is_monotonic(ros: list[int]) -> None:
    """/clock that starts late, pauses, goes back, stops or is never published."""
    clocks = Clocks()
    times = [clocks.after(0.1, now * SECOND) for now in ros]
    assert times == sorted(set(times)) and times[0] > 0


def test_simultaneous_images_get_different_stamps() -> None:
    clocks = Clocks()
    assert clocks.after(0, 0) < clocks.after(0, 0)
