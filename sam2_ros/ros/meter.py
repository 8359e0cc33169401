"""Meter of the stream: counts, rate and latency."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque

import numpy as np

WINDOW = 10.0  # s, over which rate and latency are measured


class Meter:
    """Counts of events, and the latencies of the last seconds. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._started = time.monotonic()
        self._frames: deque[tuple[float, float, float]] = deque(maxlen=4096)  # time, latency and tracking step, s

    def count(self, event: str, number: int = 1) -> None:
        with self._lock:
            self._counts[event] += number

    def __getitem__(self, event: str) -> int:
        return self._counts[event]

    def frame_done(self, latency: float, step: float) -> None:
        """Record a processed image: seconds from its arrival to its masklets, and its seconds in the tracker."""
        with self._lock:
            self._counts["processed"] += 1
            self._frames.append((time.monotonic(), latency, step))

    def summary(self) -> dict[str, float]:
        """Rate (1 / s) and percentiles of latency (ms) in the last `WINDOW`; without images, only a rate of 0."""
        now = time.monotonic()
        with self._lock:
            recent = [entry for entry in self._frames if now - entry[0] < WINDOW]
        if not recent:
            return {"rate": 0.0}
        _, latency, step = np.array(recent).T * 1000
        p50, p90, p99 = np.percentile(latency, (50, 90, 99))
        return {
            "rate": len(recent) / min(WINDOW, now - self._started),
            "latency p50": p50,
            "latency p90": p90,
            "latency p99": p99,
            "step p50": float(np.median(step)),
        }
