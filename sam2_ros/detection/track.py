"""A thing that a detector sees again and again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sam2_ros.tracking.prompt import Box

MAX_PREDICTION = 1_000_000_000
"""Maximum time over which a thing's place is predicted from its detections, ns."""

DAMPING = 0.5
"""Share of the measured velocity that predictions use: boxes jitter, and nothing moves straight on for ever."""


@dataclass(eq=False)
class Track:
    """A thing in a detector's messages: a candidate for a new object, or a tracked object."""

    label: str
    object_id: int = 0
    """ID of its tracked object; 0: it is a candidate."""
    box: Box | None = None
    """Its newest detection; None: it has never been detected."""
    stamp: int | None = None
    """Time of that, ns; None: unknown."""
    velocity: tuple[float, float] = (0.0, 0.0)
    """Pixels per ns."""
    hits: deque[int] = field(default_factory=lambda: deque(maxlen=64))
    """Numbers of the detector frames with a detection."""
    place: Box | None = None
    """Where its object was visible last."""
    prompted_at: int | None = None
    """Stamp of the newest frame on which a detector or a person has prompted its object, ns; None: unknown."""
    doubts: int = 0
    """Detections in a row that have disagreed with its masklet."""
    corrections: int = 0
    """Corrections since a detection agreed with its masklet."""
    shadowed: int = 0
    """Detector frames in a row on which its masklet lay on that of another object."""

    def predicted(self, stamp: int) -> Box | None:
        """Where it should be detected on the frame with this stamp, ns; None: unknown."""
        if self.box is None or self.stamp is None or abs(stamp - self.stamp) > MAX_PREDICTION:
            return None
        ahead = DAMPING * (stamp - self.stamp)
        x, y, width, height = self.box
        return Box(x + ahead * self.velocity[0], y + ahead * self.velocity[1], width, height)

    def hit(self, box: Box, stamp: int, number: int) -> bool:
        """Add a detection on detector frame `number`. Returns whether there was one already."""
        if self.predicted(stamp) is None:
            self.velocity = (0.0, 0.0)
        elif self.box is not None and self.stamp is not None and stamp != self.stamp:
            across = box.x + box.width / 2 - (self.box.x + self.box.width / 2)
            down = box.y + box.height / 2 - (self.box.y + self.box.height / 2)
            self.velocity = (across / (stamp - self.stamp), down / (stamp - self.stamp))
        self.box, self.stamp = box, stamp
        again = bool(self.hits) and self.hits[-1] == number
        if not again:
            self.hits.append(number)
        return again

    def is_after(self, stamp: int) -> bool:
        """Whether its object was prompted on a later frame than that with this stamp, ns."""
        return self.prompted_at is not None and self.prompted_at > stamp

    def hits_since(self, number: int) -> int:
        """Number of detector frames from `number` on with a detection."""
        return sum(hit >= number for hit in self.hits)
