"""Pairs of images and depth images, by stamp."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from std_msgs.msg import Header

from sam2_ros.tracking.masklet import Frame

MAX_WAITING = 8
"""Maximum number of processed images that wait for depth or for their turn; the oldest makes room."""

MAX_BYTES = 2**28
"""Maximum size of the depth images that are kept; the oldest are dropped."""

JUMP = 2_000_000_000
"""ns by which a stamp of depth lies before the newest from which on it begins anew, as when a bag is looped."""


@dataclass(frozen=True, eq=False)
class WaitingFrame:
    """A processed image that waits for its depth."""

    frame: Frame
    header: Header
    image: np.ndarray
    """uint8 [H, W, 3] RGB."""
    stamp: int
    """ns."""
    deadline: float
    """s of the monotonic clock, until which depth may come."""


@dataclass(frozen=True)
class Depth:
    """A depth image that has arrived."""

    stamp: int
    """ns."""
    data: bytes
    """The serialized message."""


class DepthPairs:
    """Finds the depth image for each image. Not thread-safe.

    Args:
        size: the number of depth images that are kept.
    """

    def __init__(self, size: int) -> None:
        self._depths: deque[Depth] = deque(maxlen=size)
        self._bytes = 0
        self._frames: deque[WaitingFrame] = deque()

    def __len__(self) -> int:
        """Number of depth images."""
        return len(self._depths)

    def add_depth(self, depth: Depth) -> None:
        """Keep a depth image, in place of the oldest if there are too many."""
        if self._depths and depth.stamp < self._depths[-1].stamp - JUMP:
            self._depths.clear()
            self._bytes = 0
        while self._depths and (len(self._depths) == self._depths.maxlen or self._bytes + len(depth.data) > MAX_BYTES):
            self._bytes -= len(self._depths.popleft().data)
        self._depths.append(depth)
        self._bytes += len(depth.data)

    def add_frame(self, frame: WaitingFrame) -> bool:
        """Let an image wait for its depth. Returns whether the oldest has made room for it."""
        self._frames.append(frame)
        if len(self._frames) <= MAX_WAITING:
            return False
        self._frames.popleft()
        return True

    def next(self, now: float, tolerance: int) -> tuple[WaitingFrame, Depth | None] | None:
        """Take the oldest image, with the nearest depth image within `tolerance` ns, or with none if none can be
        expected any more. None: there is no image, or it has to wait.

        Depth is not expected any more after the deadline, or once later depth has come.
        """
        if not self._frames:
            return None
        waiting = self._frames[0]
        nearest = self.nearest(waiting.stamp)
        if nearest is not None and abs(nearest.stamp - waiting.stamp) > tolerance:
            nearest = None
        passed = bool(self._depths) and self._depths[-1].stamp > waiting.stamp + tolerance
        if nearest is None and not passed and now < waiting.deadline:
            return None
        return self._frames.popleft(), nearest

    def nearest(self, stamp: int) -> Depth | None:
        """The depth image nearest to a stamp."""
        return min(self._depths, key=lambda depth: abs(depth.stamp - stamp), default=None)

    def timeout(self, now: float) -> float | None:
        """Seconds that the oldest image may still wait; None: there is none."""
        return max(0.0, self._frames[0].deadline - now) if self._frames else None

    def clear(self) -> None:
        """Forget everything."""
        self._depths.clear()
        self._frames.clear()
        self._bytes = 0
