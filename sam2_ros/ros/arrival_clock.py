"""A clock for images without a stamp."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class ArrivalClock:
    """ROS's time while it advances, and a steady clock otherwise.

    Under `use_sim_time`, ROS's time is 0 until somebody publishes /clock, stands still while a simulation pauses, and
    goes back when one starts again. Stamps still have to differ and ascend in the order in which images come.
    Thread-safe.

    Args:
        ros: ROS's time, ns.
        steady: s of a clock that never stops.
    """

    def __init__(self, ros: Callable[[], int], steady: Callable[[], float] = time.monotonic) -> None:
        self._ros = ros
        self._steady = steady
        self._lock = threading.Lock()
        self._ros_before = 0
        self._given = 0
        self._at = steady()

    def now(self) -> int:
        """A stamp, ns, 1 or more; later than those of all calls before."""
        with self._lock:
            ros, steady = self._ros(), self._steady()
            meanwhile = max(1, round(1e9 * (steady - self._at)))
            runs = ros > self._ros_before
            self._given = ros if runs and ros > self._given else self._given + meanwhile
            self._ros_before, self._at = ros, steady
            return self._given
