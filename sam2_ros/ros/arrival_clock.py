"""A clock for images without a stamp."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class ArrivalClock:
    """ROS's time while it advances, and a steady clock otherwise.

    Under `use_sim_time`, ROS's time is 0 until /clock is published, stands still while a simulation pauses, and goes
    back when one restarts. Stamps still have to differ and ascend in the order in which images arrive. Thread-safe.

    Args:
        ros: returns ROS's time, ns.
        steady: a monotonic clock, s.
    """

    def __init__(self, ros: Callable[[], int], steady: Callable[[], float] = time.monotonic) -> None:
        self._ros = ros
        self._steady = steady
        self._lock = threading.Lock()
        self._ros_before = 0
        self._last_stamp = 0
        self._steady_before = steady()

    def now(self) -> int:
        """A stamp for an image, ns; 1 or more, and later than all stamps before it."""
        with self._lock:
            ros, steady = self._ros(), self._steady()
            elapsed = max(1, round(1e9 * (steady - self._steady_before)))
            advances = ros > self._ros_before
            self._last_stamp = ros if advances and ros > self._last_stamp else self._last_stamp + elapsed
            self._ros_before, self._steady_before = ros, steady
            return self._last_stamp
