"""Meter of the stream: counts, rate and latency."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WINDOW = 10.0  # s, over which rates and latency are measured, and for which events are recent


@dataclass(frozen=True)
class Recent:
    """Occurrences of an event that followed each other within `WINDOW`, the last of them in the last `WINDOW`."""

    number: int
    last: float
    """s of the meter's clock."""
    detail: str = ""
    """What was said about the last one; empty: nothing."""


class Meter:
    """Counts of events, and the latencies of the last seconds. Thread-safe.

    Args:
        steady: a monotonic clock, s.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._recent: dict[str, Recent] = {}
        self._started = steady()
        self._arrivals: deque[float] = deque(maxlen=4096)  # s
        self._frames: deque[tuple[float, float, float]] = deque(maxlen=4096)  # time, latency and tracking step, s

    def count(self, event: str, number: int = 1, detail: str = "") -> None:
        """Count an event. `detail` says more about it; the last one is kept."""
        now = self._steady()
        with self._lock:
            self._counts[event] += number
            before = self._recent.get(event)
            ongoing = before is not None and now - before.last < WINDOW
            self._recent[event] = Recent((before.number if ongoing and before else 0) + number, now, detail)

    def __getitem__(self, event: str) -> int:
        return self._counts[event]

    def recent(self, event: str) -> Recent | None:
        """The occurrences of an event up to now; None: there was none in the last `WINDOW`."""
        with self._lock:
            recent = self._recent.get(event)
            return recent if recent is not None and self._steady() - recent.last < WINDOW else None

    def arrived(self) -> None:
        """Record the arrival of an image."""
        now = self._steady()
        with self._lock:
            self._counts["received"] += 1
            self._arrivals.append(now)
            while now - self._arrivals[0] >= WINDOW:
                self._arrivals.popleft()

    def frame_done(self, latency: float, step: float) -> None:
        """Record a processed image: seconds from its arrival to its masklets, and its seconds in the tracker."""
        now = self._steady()
        with self._lock:
            self._counts["processed"] += 1
            self._frames.append((now, latency, step))
            while now - self._frames[0][0] >= WINDOW:
                self._frames.popleft()

    @property
    def arrival_rate(self) -> float:
        """Arriving images (1 / s) in the last `WINDOW`."""
        now = self._steady()
        with self._lock:
            recent = sum(now - arrival < WINDOW for arrival in self._arrivals)
        return recent / max(min(WINDOW, now - self._started), 1e-3)

    def summary(self) -> dict[str, float]:
        """Rate (1 / s) and percentiles of latency (ms) in the last `WINDOW`; without images, only a rate of 0."""
        now = self._steady()
        with self._lock:
            recent = [entry for entry in self._frames if now - entry[0] < WINDOW]
        if not recent:
            return {"rate": 0.0}
        _, latency, step = np.array(recent).T * 1000
        p50, p90, p99 = np.percentile(latency, (50, 90, 99))
        return {
            "rate": len(recent) / max(min(WINDOW, now - self._started), 1e-3),
            "latency p50": p50,
            "latency p90": p90,
            "latency p99": p99,
            "step p50": float(np.median(step)),
        }
