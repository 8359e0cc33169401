"""A camera's stream while the node is configured."""

from __future__ import annotations

from dataclasses import dataclass, field

from sam2_ros.ros.meter import Meter
from sam2_ros.ros.stream import Stream


@dataclass
class ConfiguredStream:
    """The stream of one camera, which comes and goes with the node's configuration, and its meter.

    Read `stream` once and use that: another thread may release it.
    """

    stream: Stream | None = None
    """None: the node is not configured."""
    meter: Meter = field(default_factory=Meter)
    """Replaced whenever the node is configured."""
