"""Which images are processed, by their stamps, while they arrive."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from sam2_ros.ros.log import Log
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.timeline import Fit, Jump, Timeline

STRAY_PATIENCE = 1.0
"""s that prompts wait for the images which show whether time has jumped."""

SKIPPED = {
    Fit.REPEATED: ("repeated", "it has the same stamp as the one before it"),
    Fit.LATE: ("late", "it is {back:.3f} s older than one that came before"),
    Fit.STRAY: (
        "",
        "its stamp is {back:.3f} s from that of the newest. Unless those behind it agree that time has jumped, there"
        " are wrong stamps, or two cameras on one topic. To begin anew, call ~/reset",
    ),
}
"""What is counted and logged of images that are skipped."""

T = TypeVar("T")


class StampGate(Generic[T]):
    """Passes images on by the rules of `Timeline`; counts and logs those that are skipped. Thread-safe.

    Args:
        keep_over_jumps: as `keep` of `Timeline`.
        steady: s of a clock that never goes back.
    """

    def __init__(
        self, meter: Meter, log: Log, keep_over_jumps: bool = False, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._meter = meter
        self._log = log
        self._steady = steady
        self._lock = threading.Lock()
        self._timeline: Timeline[T] = Timeline(keep_over_jumps)
        self._another_fits = False  # an image has arrived since the last one that continues those before it
        self._held_at = 0.0  # s of the steady clock, when an image was held back last
        self._passed: deque[tuple[int, T]] = deque()  # their turn comes before new images

    def __len__(self) -> int:
        """How many images have passed and were not taken."""
        return len(self._passed)

    @property
    def passed(self) -> tuple[int, ...]:
        """Stamps of the images that have passed and were not taken, in their order, ns."""
        with self._lock:
            return tuple(stamp for stamp, _ in self._passed)

    @property
    def held(self) -> tuple[int, ...]:
        """Stamps of images that were held back a short time ago and may mean that time has jumped, ascending, ns."""
        with self._lock:
            return self._timeline.held if self._steady() < self._held_at + STRAY_PATIENCE else ()

    @property
    def undecided(self) -> float | None:
        """s until `held` is given up; None: nothing is held back, or it was given up."""
        with self._lock:
            left = self._held_at + STRAY_PATIENCE - self._steady()
            return left if self._timeline.held and left > 0 else None

    def announce(self, stamp: int) -> None:
        """Note that an image has arrived, which may be dropped before its turn."""
        with self._lock:
            self._another_fits |= self._timeline.fits(stamp)

    def take(self) -> T | None:
        """The next image that has passed already; None when there is none."""
        with self._lock:
            return self._passed.popleft()[1] if self._passed else None

    def add(self, stamp: int, image: T, lossless: bool) -> tuple[T, int, Jump | None] | None:
        """Decide on the next image.

        Args:
            lossless: every image that was announced comes here.

        Returns:
            The image that is processed now, its stamp, and the jump of time before it; None when there is none.
        """
        with self._lock:
            newest = self._timeline.newest
            admitted = self._timeline.add(stamp, image, lossless or not self._another_fits)
            if admitted.fit is Fit.STRAY:
                self._held_at = self._steady()
            if admitted.fit in (Fit.STRAY, Fit.NEXT):
                self._another_fits = False
            self._passed.extend(admitted.images[1:])
        if admitted.given_up:
            self._meter.count("stray", admitted.given_up)
        if admitted.fit is not Fit.NEXT:
            counted, reason = SKIPPED[admitted.fit]
            if counted:
                self._meter.count(counted)
            line = "Image skipped: " + reason.format(back=abs((newest or 0) - stamp) / 1e9)
            self._log.warning(line, throttle_duration_sec=10.0, kind=admitted.fit.value)
            return None
        first, image = admitted.images[0]
        return image, first, admitted.jump

    def reset(self) -> None:
        """Accept any stamp for the next image. Images that were held back pass; others that had passed are dropped."""
        with self._lock:
            self._passed = deque(self._timeline.reset())

    def clear(self) -> None:
        """Drop the images that have passed and were not taken."""
        with self._lock:
            self._passed.clear()
