"""Which objects were present in the last minutes, and when they were prompted."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sam2_ros.desk.event import Event

PERIOD = 500_000_000
"""ns of one sample: a timeline of five minutes shows no more on a screen."""

MAX_VALUES = 60_000
"""Maximum number of values in all samples: with hundreds of objects, fewer minutes are kept."""

MAX_MARKS = 1000

Kind = Literal["prompt", "correction", "removed"]


@dataclass(frozen=True)
class Mark:
    """A prompt, or the end of an object."""

    stamp: int
    object_id: int
    kind: Kind

    @property
    def event(self) -> Event:
        return {"stamp": str(self.stamp), "object_id": self.object_id, "kind": self.kind}


@dataclass
class Sample:
    """The objects in half a second."""

    stamp: int
    """ns, the first."""
    presence: dict[int, float] = field(default_factory=dict)
    """The lowest of each object, so that a short absence is seen."""


class Seen(NamedTuple):
    """What a page knows of a history."""

    generation: int
    stamp: int
    """Of the newest sample, ns."""
    marked: int
    """Number of marks."""


class PresenceHistory:
    """Samples of the presence of objects. Bounded in time and number.

    Args:
        duration: ns that are kept.
    """

    def __init__(self, duration: int) -> None:
        self._duration = duration
        self._samples: deque[Sample] = deque()
        self._values = 0  # of all samples
        self._marks: deque[Mark] = deque(maxlen=MAX_MARKS)
        self._labels: dict[int, str] = {}
        self.newest = 0
        """Stamp of the newest image, ns."""
        self._generation = 0  # grows when something is forgotten that pages know
        self._marked = 0  # marks so far

    def add(self, stamp: int, labels: Mapping[int, str], presence: Mapping[int, float]) -> None:
        """Add the masklets of an image.

        Args:
            stamp: ns. If it is before the newest, time has jumped, and everything before is forgotten.
            labels: of all tracked objects by ID.
            presence: the same objects' probabilities.
        """
        if stamp < self.newest:
            self.clear()
        for gone in self._labels.keys() - labels.keys():
            self._mark(Mark(stamp, gone, "removed"))
        new = {*labels} - {*self._labels}
        if new and any(new & sample.presence.keys() for sample in self._samples):
            self._forget(new)
        self.newest, self._labels = stamp, dict(labels)
        if not self._samples or stamp - self._samples[-1].stamp >= PERIOD:
            self._samples.append(Sample(stamp))
        sample = self._samples[-1]
        self._values -= len(sample.presence)
        for object_id, value in presence.items():
            sample.presence[object_id] = min(value, sample.presence.get(object_id, 1.0))
        self._values += len(sample.presence)
        oldest = stamp - self._duration
        while len(self._samples) > 1 and (self._values > MAX_VALUES or self._samples[0].stamp < oldest):
            self._values -= len(self._samples.popleft().presence)
        while self._marks and self._marks[0].stamp < oldest:
            self._marks.popleft()

    def prompted(self, stamp: int, object_id: int, replaces: bool) -> None:
        """Note a prompt that was applied. `replaces`: the object starts again from it."""
        starts = replaces or object_id not in self._labels
        self._mark(Mark(stamp, object_id, "prompt" if starts else "correction"))

    def clear(self) -> None:
        """Forget everything."""
        self._samples.clear()
        self._marks.clear()
        self._labels, self._values, self.newest = {}, 0, 0
        self._generation += 1

    def event(self, seen: Seen | None) -> tuple[Event, Seen]:
        """What a page does not know yet, as an event without its type, and what it knows then.

        Args:
            seen: what it knows; None: nothing.

        The sample of the last half second is left out while it still grows.
        """
        whole = seen is None or seen.generation != self._generation
        if seen is None or whole:
            seen = Seen(self._generation, -1, 0)
        finished = [*self._samples][:-1]
        samples = [sample for sample in finished if sample.stamp > seen.stamp]
        marks = [*self._marks][-unseen:] if (unseen := self._marked - seen.marked) else []
        event = {
            "from": str(max(0, self.newest - self._duration)),
            "to": str(self.newest),
            "samples": [
                [str(sample.stamp), {str(i): round(value, 2) for i, value in sample.presence.items()}]
                for sample in samples
            ],
            "marks": [mark.event for mark in marks],
            "objects": [{"object_id": object_id, "label": label} for object_id, label in sorted(self._labels.items())],
            "whole": whole,
        }
        newest = finished[-1].stamp if finished else seen.stamp
        return event, Seen(self._generation, newest, self._marked)

    def _mark(self, mark: Mark) -> None:
        self._marks.append(mark)
        self._marked += 1

    def _forget(self, object_ids: set[int]) -> None:
        """Forget what earlier objects with these IDs did: after a reset, they are other objects."""
        for sample in self._samples:
            for object_id in object_ids & sample.presence.keys():
                del sample.presence[object_id]
                self._values -= 1
        kept = [mark for mark in self._marks if mark.object_id not in object_ids or mark.stamp >= self.newest]
        self._marks = deque(kept, maxlen=MAX_MARKS)
        self._generation += 1
