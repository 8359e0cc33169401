"""Tracked objects that a detector has proposed."""

from __future__ import annotations

from dataclasses import dataclass

from sam2_ros.ros.prompts import overlap
from sam2_ros.ros.waiting_prompt import Proposal
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Box


@dataclass
class Detection:
    """An object that is tracked because a detector has proposed it."""

    forget_after: float
    """s that it may be absent; 0: for ever."""
    last_present: int
    """Stamp of the newest frame on which it was present, ns."""
    box: Box
    """The detector's."""
    detected_at: int
    """Stamp of the frame on which it was detected, ns."""


class Detections:
    """The tracked objects that nobody but a detector has prompted, by ID. Not thread-safe."""

    def __init__(self) -> None:
        self._detections: dict[int, Detection] = {}

    def __contains__(self, object_id: int) -> bool:
        return object_id in self._detections

    def add(self, object_id: int, proposal: Proposal, box: Box, stamp: int) -> None:
        """Add an object that was detected on the frame with this stamp, ns."""
        self._detections[object_id] = Detection(proposal.forget_after, stamp, box, stamp)

    def discard(self, object_id: int) -> None:
        """Drop an object, because somebody else has prompted it: from now on it stays, however long it is absent."""
        self._detections.pop(object_id, None)

    def clear(self) -> None:
        """Drop all objects."""
        self._detections.clear()

    def is_known(self, box: Box, frame: Frame, max_overlap: float) -> bool:
        """Whether a detection is an object that is tracked already.

        It is when its IoU is above `max_overlap` with a masklet, or with the box of another detection of the same
        frame: detectors may box one thing twice, and masks do not always fill their boxes.
        """
        known = [masklet.box for masklet in frame.masklets if masklet.present]
        known += [other.box for other in self._detections.values() if other.detected_at == frame.stamp]
        return any(overlap(box, other) > max_overlap for other in known)

    def expire(self, frame: Frame) -> list[tuple[Masklet, float]]:
        """Drop the objects that are not tracked any more and those that have been absent for too long.

        Returns:
            The latter, and for how long, s.
        """
        remaining: dict[int, Detection] = {}
        expired: list[tuple[Masklet, float]] = []
        for masklet in frame.masklets:
            if (detection := self._detections.get(masklet.object_id)) is None:
                continue
            absent = (frame.stamp - detection.last_present) / 1e9
            if masklet.present:
                detection.last_present = frame.stamp
            elif 0 < detection.forget_after < absent:
                expired.append((masklet, absent))
                continue
            remaining[masklet.object_id] = detection
        self._detections = remaining
        return expired

    def shift(self, nanoseconds: int) -> None:
        """Move the times at which objects were present: a gap between images, or a clock's step, is no absence."""
        for detection in self._detections.values():
            detection.last_present += nanoseconds

    def limit(self, newest: int) -> None:
        """Move times after the newest stamp, ns, to it: they came from stamps that were wrong."""
        for detection in self._detections.values():
            detection.last_present = min(detection.last_present, newest)
