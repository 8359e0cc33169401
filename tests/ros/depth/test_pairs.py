"""Depth for images, by stamp, in every order of arrival."""

from __future__ import annotations

import numpy as np
import pytest
from std_msgs.msg import Header

from sam2_ros.ros.depth.pairs import MAX_WAITING, Depth, DepthPairs, WaitingFrame
from sam2_ros.tracking.masklet import Frame

MS = 1_000_000
TOLERANCE = 20 * MS


def frame(milliseconds: int, deadline: float = 1.0) -> WaitingFrame:
    stamp = milliseconds * MS
    return WaitingFrame(Frame(stamp, 1, 1, ()), Header(), np.zeros((1, 1, 3), np.uint8), stamp, deadline)


def pairs(*depths: int, size: int = 10) -> DepthPairs:
    found = DepthPairs(size)
    for milliseconds in depths:
        found.add_depth(Depth(milliseconds * MS, b"x"))
    return found


def next_stamps(found: DepthPairs, now: float = 0.0, tolerance: int = TOLERANCE) -> tuple[int, int | None] | None:
    if (pair := found.next(now, tolerance)) is None:
        return None
    waiting, depth = pair
    return waiting.stamp // MS, None if depth is None else depth.stamp // MS


def test_depth_before_the_image() -> None:
    found = pairs(0, 33, 66, 100)
    found.add_frame(frame(70))
    assert next_stamps(found) == (70, 66) and next_stamps(found) is None


def test_depth_after_the_image_is_awaited() -> None:
    found = pairs(0)
    found.add_frame(frame(33))
    assert next_stamps(found) is None and found.timeout(0.25) == 0.75
    found.add_depth(Depth(40 * MS, b""))
    assert next_stamps(found) == (33, 40) and found.timeout(0.25) is None


def test_image_without_depth_is_given_up_after_the_deadline() -> None:
    found = pairs()
    found.add_frame(frame(33, deadline=1.0))
    assert next_stamps(found, now=0.99) is None and found.timeout(2.0) == 0.0
    assert next_stamps(found, now=1.0) == (33, None)


def test_image_is_given_up_at_once_when_later_depth_has_come() -> None:
    """Depth of half the rate: an image in between must not hold up the next."""
    found = pairs(0, 66)
    found.add_frame(frame(33))
    found.add_frame(frame(66))
    assert next_stamps(found) == (33, None) and next_stamps(found) == (66, 66)


@pytest.mark.parametrize(("tolerance", "expected"), [(20 * MS, 20), (19 * MS, None), (0, None)])
def test_tolerance(tolerance: int, expected: int | None) -> None:
    found = pairs(20, 200)
    found.add_frame(frame(0))
    assert next_stamps(found, tolerance=tolerance) == (0, expected)


def test_nearest_of_several_is_used() -> None:
    found = pairs(-15, 5, -4, 12)  # not in order
    found.add_frame(frame(0))
    assert next_stamps(found) == (0, -4)


def test_number_of_depth_images_is_bounded() -> None:
    found = pairs(*range(0, 1000, 10), size=5)
    assert len(found) == 5 and found.nearest(0).stamp == 950 * MS


def test_size_of_depth_images_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam2_ros.ros.depth.pairs.MAX_BYTES", 250)
    found = DepthPairs(100)
    for index in range(10):
        found.add_depth(Depth(index * MS, bytes(100)))
    assert len(found) == 2 and found.nearest(0).stamp == 8 * MS
    found.add_depth(Depth(10 * MS, bytes(1000)))
    assert len(found) == 1


def test_number_of_waiting_images_is_bounded() -> None:
    found = pairs()
    dropped = [found.add_frame(frame(index)) for index in range(MAX_WAITING + 3)]
    assert dropped == [False] * MAX_WAITING + [True] * 3
    assert next_stamps(found, now=2.0) == (3, None)


def test_looped_bag_begins_anew() -> None:
    """Old depth would make images of the second round seem late."""
    found = pairs(60_000, 60_033, 33)
    assert len(found) == 1
    found.add_frame(frame(66))
    assert next_stamps(found) is None


def test_clear() -> None:
    found = pairs(0, 33)
    found.add_frame(frame(0))
    found.clear()
    assert len(found) == 0 and next_stamps(found, now=9.0) is None
