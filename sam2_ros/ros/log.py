"""ROS's log, for what others cause: lines that are cut, and never a flood of them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.impl.rcutils_logger import RcutilsLogger

from sam2_ros.ros.excerpt import excerpt

RATE = 600.0
"""Bytes that are written in a second, in the long run."""

BURST = 4000.0
"""Bytes that may be written at once after a quiet time."""

AROUND_A_LINE = 60
"""Bytes that ROS puts before each line: its severity, the time, the node's name."""


@dataclass
class Place:
    """A place in the code from where a line is written."""

    last: float = float("-inf")  # s
    left_out: int = 0


class Log:
    """Writes as rclpy's logger does, but cuts what is long and leaves out what would be too much, and says how much.

    rclpy's own throttle measures with the system's clock, and is silent for an hour where that is put back by one.
    Lines are throttled by the place in the code that writes them, and by their `kind`, one of a few. Safe to use from
    several threads.

    Args:
        logger: of the node.
        steady: s of a clock that never goes back.
    """

    def __init__(self, logger: RcutilsLogger, steady: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._steady = steady
        self._lock = threading.Lock()
        self._places: dict[tuple[str, int, str], Place] = {}
        self._left = BURST  # bytes
        self._at = steady()
        self._left_out = 0  # lines for which there was no room

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
        """What is to be written now; None: nothing."""
        caller = sys._getframe(2)
        with self._lock:
            now = self._steady()
            place = self._places.setdefault((caller.f_code.co_filename, caller.f_lineno, kind), Place())
            if now - place.last < (float("inf") if once else every):
                place.left_out += 1
                return None
            line = excerpt(text)
            if place.left_out and not once:
                line += f" ({place.left_out} more like this since the last)"
            if self._left_out:
                line += f" ({self._left_out} other lines were left out)"
            self._left = min(BURST, self._left + RATE * (now - self._at))
            self._at = now
            size = len(line.encode(errors="replace")) + AROUND_A_LINE
            if size > self._left:
                self._left_out += 1
                return None
            self._left -= size
            place.last, place.left_out, self._left_out = now, 0, 0
            return line
