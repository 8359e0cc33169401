"""Logging to ROS with short lines and a limited rate, whatever other nodes send."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.impl.rcutils_logger import RcutilsLogger

from sam2_ros.ros.excerpt import excerpt

BYTES_PER_SECOND = 600.0
"""Maximum long-term rate of the log."""

BURST_BYTES = 4000.0
"""Maximum size of a burst after a quiet period."""

LINE_OVERHEAD_BYTES = 60
"""Size of ROS's prefix of each line: severity, time and the node's name."""


@dataclass
class CallSite:
    """A place in the code that logs, with its throttling."""

    last: float = float("-inf")  # s, when it last wrote a line
    suppressed: int = 0


class Budget:
    """The bytes that may be written now. Its owner locks it."""

    def __init__(self, now: float) -> None:
        self.lock = threading.Lock()
        self.suppressed = 0  # lines beyond the budget
        self._bytes = BURST_BYTES
        self._time = now  # s

    def take(self, size: int, now: float) -> bool:
        """Spend bytes. Returns False if there are too few."""
        self._bytes = min(BURST_BYTES, self._bytes + BYTES_PER_SECOND * (now - self._time))
        self._time = now
        if size > self._bytes:
            self.suppressed += 1
            return False
        self._bytes -= size
        return True


class Log:
    """Writes like rclpy's logger, but cuts long lines, suppresses lines beyond a rate and says how many.

    rclpy's own throttle uses the system clock, and stays silent for an hour when that is set back by an hour. Lines are
    throttled by the place in the code that logs them, and by their `kind`. Thread-safe.

    Args:
        logger: the node's logger.
        steady: a monotonic clock, s.
        budget: shared with other logs; None: one of its own.
    """

    def __init__(
        self,
        logger: RcutilsLogger,
        steady: Callable[[], float] = time.monotonic,
        budget: Budget | None = None,
    ) -> None:
        self._logger = logger
        self._steady = steady
        self._call_sites: dict[tuple[str, int, str], CallSite] = {}
        self._budget = budget or Budget(steady())

    def named(self, name: str) -> Log:
        """The log of a part of the node. Together they keep to one rate."""
        return Log(self._logger.get_child(name), self._steady, self._budget)

    def info(self, text: str, *, throttle_duration_sec: float = 0.0, once: bool = False, kind: str = "") -> None:
        if line := self._line(text, throttle_duration_sec, once, kind):
            self._logger.info(line)

    def warning(self, text: str, *, throttle_duration_sec: float = 0.0, once: bool = False, kind: str = "") -> None:
        if line := self._line(text, throttle_duration_sec, once, kind):
            self._logger.warning(line)

    def error(self, text: str, *, throttle_duration_sec: float = 0.0, once: bool = False, kind: str = "") -> None:
        if line := self._line(text, throttle_duration_sec, once, kind):
            self._logger.error(line)

    def state(self, text: str, *, every: float, kind: str, good: bool = False) -> None:
        """Write something that lasts, again after `every` s; the calls between are not counted as other lines.

        Args:
            good: whether it is nothing to worry about.
        """
        if line := self._line(text, every, once=False, kind=kind, lasts=True):
            if good:  # rclpy refuses two severities from one line of code
                self._logger.info(line)
            else:
                self._logger.warning(line)

    def _line(self, text: str, every: float, once: bool, kind: str, lasts: bool = False) -> str | None:
        """The line to write now; None: it is suppressed."""
        caller = sys._getframe(2)
        with self._budget.lock:
            now = self._steady()
            call_site = self._call_sites.setdefault((caller.f_code.co_filename, caller.f_lineno, kind), CallSite())
            if now - call_site.last < (float("inf") if once else every):
                call_site.suppressed += not lasts
                return None
            line = excerpt(text)
            if call_site.suppressed and not once:
                line += f" ({call_site.suppressed} more like this since the last)"
            if self._budget.suppressed:
                line += f" ({self._budget.suppressed} other lines were left out)"
            if not self._budget.take(len(line.encode(errors="replace")) + LINE_OVERHEAD_BYTES, now):
                return None
            call_site.last, call_site.suppressed, self._budget.suppressed = now, 0, 0
            return line
