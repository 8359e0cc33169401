"""Moments of recordings."""

from __future__ import annotations

import re

import pytest

from sam2_ros.data.timed_prompt import Moment

STAMPS = [10**18 + 100_000_000 * index for index in range(100)]
"""10 s at 10 images a second."""


@pytest.mark.parametrize(
    ("moment", "index"),
    [
        (Moment(0), 0),
        (Moment(99), 99),
        (Moment.parse("4.5s"), 45),
        (Moment.parse("4.56s"), 46),
        (Moment.parse("9.9s"), 99),
        (Moment.parse("10s"), 99),
        (Moment(STAMPS[7], "ns"), 7),
        (Moment(STAMPS[7] + 1, "ns"), 7),
        (Moment(STAMPS[7] + 50_000_000, "ns"), 7),  # as near to both: the earlier
        (Moment(STAMPS[7] + 50_000_001, "ns"), 8),
    ],
)
def test_moment_is_the_nearest_image(moment: Moment, index: int) -> None:
    assert moment.index(STAMPS) == index


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (Moment(100), "the recording has 100 images, 0 to 99"),
        (Moment.parse("10.01s"), "the recording is 10.0 s long"),
        (Moment(-1), "0 to 99"),
        (Moment(float("nan"), "s"), "10.0 s long"),
        (Moment(STAMPS[0] - 1_500_000_000, "ns"), "1.500 s before its first image"),
        (Moment(STAMPS[-1] + 1_000_000, "ns"), "0.001 s after its last image"),
        (Moment(10**400), "0 to 99"),
        (Moment(10**400, "s"), "10.0 s long"),
        (Moment(float("inf"), "s"), "10.0 s long"),
        (Moment(STAMPS[-1] + 10**400, "ns"), "000.000 s after its last image"),
    ],
)
def test_moment_outside_is_refused(moment: Moment, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        moment.index(STAMPS)


def test_recording_of_one_image() -> None:
    assert [moment.index(STAMPS[:1]) for moment in (Moment(0), Moment(0.0, "s"), Moment(STAMPS[0], "ns"))] == [0, 0, 0]
