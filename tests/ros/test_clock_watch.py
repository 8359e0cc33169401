"""Simulated time that is not published, or stands still."""

from __future__ import annotations

from rclpy.parameter import Parameter
from rclpy.time import Time

from sam2_ros.ros.clock_watch import CLOCK_TIMEOUT, ClockWatch


class Clocks:
    """A node whose time and parameter are set, and a steady clock."""

    ros = 0  # ns
    steady = 100.0  # s
    simulated = True

    def watch(self) -> ClockWatch:
        return ClockWatch(self, lambda: self.steady)  # type: ignore[arg-type]

    def get_clock(self) -> Clocks:
        return self

    def now(self) -> Time:
        return Time(nanoseconds=self.ros)

    def get_parameter(self, name: str) -> Parameter:
        return Parameter(name, value=self.simulated)


def test_missing_clock_is_a_problem_after_a_while() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    assert watch.problem() is None
    clocks.steady += CLOCK_TIMEOUT + 1
    assert "/clock is not published" in (problem := watch.problem()).text and problem.name == "/clock"
    clocks.ros = 5
    assert watch.problem() is None


def test_clock_that_stops_is_a_problem_until_it_runs() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    for _ in range(20):
        clocks.steady, clocks.ros = clocks.steady + 1, clocks.ros + 10**9
        assert watch.problem() is None
    clocks.steady += 12
    assert "/clock has stood still at 20.000 s for 12 s" in watch.problem().text
    clocks.ros = 3 * 10**9  # it starts again, from an earlier time
    assert watch.problem() is None


def test_system_time_is_no_problem() -> None:
    clocks = Clocks()
    clocks.simulated = False
    watch = clocks.watch()
    clocks.steady += 100
    assert watch.problem() is None
    clocks.simulated = True
    assert watch.problem() is None, "it has been simulated for no time"
