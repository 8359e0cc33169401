"""Limits of rates."""

from __future__ import annotations

from sam2_ros.desk.rate_limit import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_burst_then_rate() -> None:
    clock = Clock()
    limit = RateLimit(10, 5, clock)
    assert [limit.allows() for _ in range(7)] == [True] * 5 + [False] * 2
    clock.now += 0.25
    assert [limit.allows() for _ in range(3)] == [True, True, False]
    clock.now += 1000
    assert sum(limit.allows() for _ in range(100)) == 5


def test_flood_gets_the_rate() -> None:
    clock = Clock()
    limit = RateLimit(20, 40, clock)
    allowed = 0
    for _ in range(10_000):  # ten seconds of 1,000 a second
        allowed += limit.allows()
        clock.now += 0.001
    assert 235 <= allowed <= 245


def test_cost_counts_as_several() -> None:
    limit = RateLimit(1, 10, Clock())
    assert limit.allows(9) and not limit.allows(2) and limit.allows(1)
