"""Periodic log lines about dropped detections."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sam2_ros.ros.meter import Meter

LOG_INTERVAL = 10.0
"""Minimum seconds between two lines."""

REASONS = {
    "in excess": "others wait for the network already; send fewer at once, or at a lower rate",
    "without room": "max_objects are tracked already; raise it, remove some, or set detection_forget_after",
    "without score": "no hypothesis has a score that is a number",
    "unusable": "boxes are not finite, without size or outside the image, or labels too long",
    "refused": "~/prompt_results says why",
}
"""Explanation of each counted reason for dropping detections. What is known, unsure or unconfirmed is no loss."""

UNDROPPED = ("correcting", "agreeing", "disagreeing", "known", "unconfirmed", "new", "unsure", "overtaken")
"""What else detections are counted as: of the accepted, those that corrected an object; those that agree, or do not,
with the masklet of their thing; those of something that is tracked already, seen too rarely, or new but not to be
started; those with a low score; and those whose object has changed in the meantime."""


class Losses:
    """Reports which detections were dropped since the last report.

    Args:
        steady: a monotonic clock, s.
    """

    def __init__(self, meter: Meter, steady: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._steady = steady
        self._reported = dict.fromkeys(REASONS, 0)
        self._reported_at = float("-inf")

    def line(self) -> str | None:
        """A line for the log; None: nothing new was dropped, or it is too early for the next line."""
        counts = {event: self._meter[f"detections {event}"] for event in REASONS}
        lost = {
            event: count - self._reported[event] for event, count in counts.items() if count > self._reported[event]
        }
        if not lost or self._steady() - self._reported_at < LOG_INTERVAL:
            return None
        self._reported, self._reported_at = counts, self._steady()
        return describe(lost)


def describe(lost: Mapping[str, int]) -> str:
    """One line about dropped detections: their number by reason, and what to do."""
    return "Detections dropped: " + ", ".join(f"{number} {event} ({REASONS[event]})" for event, number in lost.items())
