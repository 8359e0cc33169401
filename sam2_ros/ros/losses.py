"""What is dropped, in words: for the log, now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from sam2_ros.ros.meter import Meter

EVERY = 10.0
"""s between two lines."""

WHY = {
    "in excess": "others wait for the network already; send fewer at once, or at a lower rate",
    "without room": "max_objects are tracked already; raise it, remove some, or set detection_forget_after",
    "without score": "no hypothesis has a score that is a number",
    "doubled": "a surer box of the same message overlaps by more than detection_max_overlap",
    "refused": "~/prompt_results says why",
}
"""Why detections are dropped, by what is counted. Those that are tracked already and unsure ones are no loss."""


class Losses:
    """Says which detections were dropped since it last said so.

    Args:
        steady: s of a clock that never goes back.
    """

    def __init__(self, meter: Meter, steady: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._steady = steady
        self._said = dict.fromkeys(WHY, 0)
        self._at = float("-inf")

    def line(self) -> str | None:
        """One line; None: there is nothing new, or it is too early for the next."""
        counts = {event: self._meter[f"detections {event}"] for event in WHY}
        lost = {event: count - self._said[event] for event, count in counts.items() if count > self._said[event]}
        if not lost or self._steady() - self._at < EVERY:
            return None
        self._said, self._at = counts, self._steady()
        return "Detections dropped: " + ", ".join(f"{number} {event} ({WHY[event]})" for event, number in lost.items())
