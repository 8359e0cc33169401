"""The thread that waits for depth."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from std_msgs.msg import Header

from sam2_ros.ros.depth.matcher import DepthMatcher
from sam2_ros.ros.depth.pairs import MAX_WAITING, Depth, WaitingFrame
from sam2_ros.tracking.masklet import Frame

TIMEOUT = 30.0  # s; only failures take so long


class Matches(queue.Queue):
    """What the thread reports: stamps of image, depth and the nearest depth."""

    def put_match(self, frame: WaitingFrame, depth: Depth | None, nearest: Depth | None) -> None:
        self.put((frame.stamp, depth and depth.stamp, nearest and nearest.stamp))

    def next(self) -> tuple[int, int | None, int | None]:
        return self.get(timeout=TIMEOUT)


@pytest.fixture
def matches() -> Matches:
    return Matches()


@pytest.fixture
def matcher(matches: Matches) -> Iterator[DepthMatcher]:
    matcher = DepthMatcher(10, lambda: 5, matches.put_match)
    yield matcher
    matcher.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "depth"]


def frame(stamp: int, wait: float = TIMEOUT) -> WaitingFrame:
    image = np.zeros((1, 1, 3), np.uint8)
    return WaitingFrame(Frame(stamp, 1, 1, ()), Header(), image, stamp, time.monotonic() + wait)


def test_match_before_and_after(matcher: DepthMatcher, matches: Matches) -> None:
    matcher.put_depth(Depth(100, b""))
    matcher.put_frame(frame(101))
    assert matches.next() == (101, 100, 100)
    matcher.put_frame(frame(200))
    assert matches.empty()
    matcher.put_depth(Depth(199, b""))
    assert matches.next() == (200, 199, 199)


def test_deadline_passes_without_any_event(matcher: DepthMatcher, matches: Matches) -> None:
    matcher.put_depth(Depth(100, b""))
    matcher.put_frame(frame(200, wait=0.05))
    assert matches.next() == (200, None, 100)
    matcher.clear()
    matcher.put_frame(frame(300, wait=0.0))
    assert matches.next() == (300, None, None)


def test_too_many_images_are_dropped_and_nobody_waits() -> None:
    """Measuring takes longer than images take to come."""
    busy, release, stamps = threading.Event(), threading.Event(), []

    def measure(waiting: WaitingFrame, depth: Depth | None, nearest: Depth | None) -> None:
        stamps.append(waiting.stamp)
        busy.set()
        assert release.wait(TIMEOUT)

    matcher = DepthMatcher(10, lambda: 5, measure)
    matcher.put_depth(Depth(0, b""))
    matcher.put_frame(frame(0))
    assert busy.wait(TIMEOUT)
    dropped = [matcher.put_frame(frame(1)) for _ in range(MAX_WAITING + 2)]
    assert dropped == [False] * MAX_WAITING + [True] * 2
    release.set()
    matcher.stop()
    assert stamps[0] == 0
