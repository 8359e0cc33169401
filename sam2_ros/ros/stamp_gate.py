"""The gate that admits arriving images by their stamps."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from sam2_ros.ros.log import Log
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.timeline import Fit, Jump, Timeline

STRAY_TIMEOUT = 1.0
"""Seconds that prompts wait for images that show whether time has jumped."""

SKIPPED = {
    Fit.REPEATED: ("repeated", "it has the same stamp as the one before it"),
    Fit.LATE: ("late", "it is {back:.3f} s older than an earlier one"),
    Fit.STRAY: (
        "",
        "its stamp is {back:.3f} s from that of the newest. Unless the next images show that time has jumped, stamps"
        " are wrong, or two cameras publish on one topic. To start over, call ~/reset",
    ),
}
"""Counter and log line of skipped images, by reason; an empty counter: counted elsewhere."""

T = TypeVar("T")


class StampGate(Generic[T]):
    """Admits images by the rules of `Timeline`; counts and logs skipped images. Thread-safe.

    Args:
        keep_over_jumps: `keep` of `Timeline`.
        steady: a monotonic clock, s.
    """

    def __init__(
        self, meter: Meter, log: Log, keep_over_jumps: bool = False, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._meter = meter
        self._log = log
        self._steady = steady
        self._lock = threading.Lock()
        self._timeline: Timeline[T] = Timeline(keep_over_jumps)
        self._newer_fits = False  # a newer image that continues the stream has arrived
        self._held_at = 0.0  # s of the steady clock, when an image was held back last
        self._passed: deque[tuple[int, T]] = deque()  # taken before new images

    def __len__(self) -> int:
        """Number of admitted images that are still to be taken."""
        return len(self._passed)

    @property
    def passed(self) -> tuple[int, ...]:
        """Stamps of the admitted images that are still to be taken, in order, ns."""
        with self._lock:
            return tuple(stamp for stamp, _ in self._passed)

    @property
    def held(self) -> tuple[int, ...]:
        """Stamps of images held back recently because time may have jumped, ascending, ns."""
        with self._lock:
            return self._timeline.held if self._steady() < self._held_at + STRAY_TIMEOUT else ()

    @property
    def held_timeout(self) -> float | None:
        """Seconds until `held` is given up; None: it is empty or given up."""
        with self._lock:
            left = self._held_at + STRAY_TIMEOUT - self._steady()
            return left if self._timeline.held and left > 0 else None

    def announce(self, stamp: int) -> None:
        """Note that an image has arrived, which may be dropped before `add`."""
        with self._lock:
            self._newer_fits |= self._timeline.fits(stamp)

    def take(self) -> T | None:
        """Take the next admitted image; None: there is none."""
        with self._lock:
            return self._passed.popleft()[1] if self._passed else None

    def add(self, stamp: int, image: T, lossless: bool) -> tuple[T, int, Jump | None] | None:
        """Decide on the next image.

        Args:
            lossless: whether every announced image is added.

        Returns:
            The image to process now, its stamp, and the jump of time before it, if any; None: there is no image.
        """
        with self._lock:
            newest = self._timeline.newest
            admitted = self._timeline.add(stamp, image, lossless or not self._newer_fits)
            if admitted.fit is Fit.STRAY:
                self._held_at = self._steady()
            if admitted.fit in (Fit.STRAY, Fit.NEXT):
                self._newer_fits = False
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
        """Accept any stamp next. Images that were held back are admitted; images admitted before are dropped."""
        with self._lock:
            self._passed = deque(self._timeline.reset())

    def clear(self) -> None:
        """Drop the admitted images that are still to be taken."""
        with self._lock:
            self._passed.clear()
