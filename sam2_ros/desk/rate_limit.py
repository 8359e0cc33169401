"""How often something may happen."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """So many a second on average, and so many at once after a quiet time.

    Args:
        rate: per second.
        burst: at once.
        clock: seconds.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = burst
        self._clock = clock
        self._left = burst
        self._then = clock()

    def allows(self, cost: float = 1.0) -> bool:
        """Whether one more may happen now, which then counts. `cost` is that of several at once."""
        now = self._clock()
        self._left = min(self.burst, self._left + (now - self._then) * self.rate)
        self._then = now
        if self._left < cost:
            return False
        self._left -= cost
        return True
