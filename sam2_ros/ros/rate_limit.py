"""A limit on how often something happens."""

from __future__ import annotations

SECOND = 1_000_000_000  # ns
TOLERANCE = 0.1
"""Part of a period by which something may come early: cameras jitter, and half of 30 images a second are 15."""


class RateLimit:
    """Chooses, by their times, which of the things that come are done: on average no more per second than allowed.

    The same times lead to the same choice. Not thread-safe.
    """

    def __init__(self) -> None:
        self._beat: float | None = None  # ns, when the last that is done was due

    def admits(self, time: int, rate: float) -> bool:
        """Whether what comes at this time, ns, is done.

        Args:
            rate: per second; 0: unlimited. May change at any time.
        """
        if not rate:
            self._beat = None
            return True
        period = SECOND / rate
        if self._beat is None or time < self._beat - period:  # the first, or the clock went back
            self._beat = time
            return True
        due = self._beat + period
        if time < due - TOLERANCE * period:
            return False
        self._beat = due if time < due + period else time
        return True
