"""ROS's log with short lines and a limited rate, whatever other nodes send."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.impl.rcutils_logger import RcutilsLogger

from sam2_ros.ros.excerpt import excerpt

BYTES_PER_SECOND = 600.0
"""Long-term average of what is written."""

BURST_BYTES = 4000.0
"""What may be written at once after a quiet time."""

LINE_OVERHEAD_BYTES = 60
"""What ROS puts before each line: severity, time and the node's name."""


@dataclass
class Place:
    """A place in the code that logs."""

    last: float = float("-inf")  # s, when it last wrote a line
    suppressed: int = 0


class Log:
    """Writes like rclpy's logger, but cuts long lines, suppresses lines beyond a rate and says how many.

    rclpy's own throttle uses the system clock, and stays silent for an hour when that is set back by an hour. Lines are
    throttled by the place in the code that logs them, and by their `kind`, one of a few. Thread-safe.

    Args:
        logger: of the node.
        steady: a monotonic clock, s.
    """

    def __init__(self, logger: RcutilsLogger, steady: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._steady = steady
        self._lock = threading.Lock()
        self._places: dict[tuple[str, int, str], Place] = {}
        self._budget = BURST_BYTES
        self._at = steady()
        self._suppressed = 0  # lines beyond the budget

    def info(self, text: str, *, throttle_duration_sec: float = 0.0, once: bool = False, kind: str = "") -> None:
        if line := self._line(text, throttle_duration_sec, once, kind):
            self._logger.info(line)

    def warning(self, text: str, *, throttle_duration_sec: float = 0.0, once: bool = False, kind: str = "") -> None:
        if line := self._line(text, throttle_duration_sec, once, kind):
            self._logger.warning(line)

    def error(self, text: str, *, throttle_duration_sec: float = 0.0, once: bool = False, kind: str = "") -> None:
        if line := self._line(text, throttle_duration_sec, once, kind):
            self._logger.error(line)

    def _line(self, text: str, every: float, once: bool, kind: str) -> str | None:
        """The line to write now; None: none."""
        caller = sys._getframe(2)
        with self._lock:
            now = self._steady()
            place = self._places.setdefault((caller.f_code.co_filename, caller.f_lineno, kind), Place())
            if now - place.last < (float("inf") if once else every):
                place.suppressed += 1
                return None
            line = excerpt(text)
            if place.suppressed and not once:
                line += f" ({place.suppressed} more like this since the last)"
            if self._suppressed:
                line += f" ({self._suppressed} other lines were left out)"
            self._budget = min(BURST_BYTES, self._budget + BYTES_PER_SECOND * (now - self._at))
            self._at = now
            size = len(line.encode(errors="replace")) + LINE_OVERHEAD_BYTES
            if size > self._budget:
                self._suppressed += 1
                return None
            self._budget -= size
            place.last, place.suppressed, self._suppressed = now, 0, 0
            return line
