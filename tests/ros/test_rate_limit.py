"""A limit on how often something happens."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_ros.ros.rate_limit import SECOND, RateLimit

START = 1_700_000_000 * SECOND


def admitted(limit: RateLimit, times: list[int], rate: float) -> list[int]:
    return [time for time in times if limit.admits(time, rate)]


def camera(rate: float, seconds: float, start: int = START, jitter: float = 0.0) -> list[int]:
    """Stamps of a camera, whose images come early or late by up to a part of a period."""
    beats = np.arange(int(rate * seconds)) + np.random.default_rng(0).uniform(-jitter, jitter, int(rate * seconds))
    return [start + int(SECOND * beat / rate) for beat in beats]


@pytest.mark.parametrize(
    ("rate", "limit", "expected"), [(30, 15, 15), (30, 30, 30), (30, 20, 20), (33, 30, 30), (30, 0, 30), (10, 30, 10)]
)
@pytest.mark.parametrize("jitter", [0.0, 0.04])
def test_average_rate_is_the_limit(rate: float, limit: float, expected: float, jitter: float) -> None:
    assert len(admitted(RateLimit(), camera(rate, 20, jitter=jitter), limit)) == pytest.approx(20 * expected, rel=0.01)


def test_pause_gives_no_credit() -> None:
    limit = RateLimit()
    admitted(limit, camera(30, 1), 10)
    assert len(admitted(limit, camera(30, 1, START + 60 * SECOND), 10)) == 10


def test_clock_that_goes_back_starts_anew() -> None:
    limit = RateLimit()
    admitted(limit, camera(30, 1), 10)
    assert len(admitted(limit, camera(30, 1, START - 60 * SECOND), 10)) == 10


def test_rate_changes_at_once() -> None:
    limit = RateLimit()
    assert len(admitted(limit, camera(10, 1), 0.001)) == 1
    assert len(admitted(limit, camera(10, 1, START + SECOND), 10)) == 10
    assert len(admitted(limit, camera(10, 1, START + 2 * SECOND), 0)) == 10
