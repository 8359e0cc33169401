"""The thread that waits for depth, so that masklets do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sam2_ros.ros.depth.pairs import Depth, DepthPairs, WaitingFrame

STOP_TIMEOUT = 2.0
"""Seconds to wait for the thread, which may be computing the rays of a distorted camera."""

Matched = Callable[[WaitingFrame, Depth | None, Depth | None], None]


class DepthMatcher:
    """Hands each image with its depth to a function, in a thread of its own. Thread-safe.

    Args:
        size: the number of depth images that are kept.
        tolerance: gives the largest distance between the stamps of an image and its depth, ns.
        matched: called with an image, its depth or None, and the depth image that was nearest.
    """

    def __init__(self, size: int, tolerance: Callable[[], int], matched: Matched) -> None:
        self._tolerance = tolerance
        self._matched = matched
        self._changed = threading.Condition()  # guards the attributes below
        self._pairs = DepthPairs(size)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="depth", daemon=True)
        self._thread.start()

    def put_depth(self, depth: Depth) -> None:
        """Add a depth image."""
        with self._changed:
            self._pairs.add_depth(depth)
            self._changed.notify()

    def put_frame(self, frame: WaitingFrame) -> bool:
        """Add a processed image. Returns whether another one was dropped for it."""
        with self._changed:
            dropped = self._pairs.add_frame(frame)
            self._changed.notify()
        return dropped

    def clear(self) -> None:
        """Forget all images and depth."""
        with self._changed:
            self._pairs.clear()

    def stop(self) -> None:
        """End the thread, after the image that it is busy with, if that does not take long."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(STOP_TIMEOUT)

    def _run(self) -> None:
        while True:
            with self._changed:
                while (pair := self._pairs.next(time.monotonic(), self._tolerance())) is None and not self._stopped:
                    self._changed.wait(self._pairs.timeout(time.monotonic()))
                if self._stopped or pair is None:
                    return
                frame, depth = pair
                nearest = depth or self._pairs.nearest(frame.stamp)
            self._matched(frame, depth, nearest)
