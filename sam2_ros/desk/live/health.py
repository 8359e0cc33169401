"""What a sam2 node says about one of its cameras on /diagnostics."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from sam2_ros.ros.topics import IMAGE_TOPIC

STATUS = ": tracking"
"""The end of the names of statuses; before it is the camera's name."""


@dataclass(frozen=True)
class Health:
    """The state of a camera."""

    topic: str
    """Of its images; empty: unknown."""
    problem: str
    """Empty: none."""
    rate: float
    """Images per second."""
    latency_ms: float
    """From an image to its masklets: the median."""
    objects: int
    time: float = field(default_factory=time.monotonic)
    """s."""


def healths(message: DiagnosticArray) -> dict[str, Health]:
    """The state of each camera in a message, by its name."""
    return {
        status.name.removesuffix(STATUS): _health(status) for status in message.status if status.name.endswith(STATUS)
    }


def _health(status: DiagnosticStatus) -> Health:
    values = {value.key: value.value for value in status.values}

    def number(key: str) -> float:
        with contextlib.suppress(KeyError, ValueError):
            return float(values[key])
        return 0.0

    return Health(
        topic=values.get(IMAGE_TOPIC, ""),
        problem="" if status.level == DiagnosticStatus.OK else status.message,
        rate=number("rate (1/s)"),
        latency_ms=number("latency p50 (ms)"),
        objects=int(number("objects")),
    )
