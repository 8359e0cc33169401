"""Tracked objects that come from a detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sam2_ros.ros.prompts import overlap
from sam2_ros.ros.waiting_prompt import Proposal
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Box


@dataclass
class Detection:
    """An object that is tracked because a detector has proposed it."""

    forget_after: float
    """Maximum absence, s; 0: unlimited."""
    last_present: int
    """Stamp of the newest frame on which the object was present, ns."""
    box: Box
    """Box from the detector."""
    detected_at: int
    """Stamp of the frame on which the object was detected, ns."""


class Detections:
    """The tracked objects that only a detector has prompted, by ID. Not thread-safe."""

    def __init__(self) -> None:
        self._detections: dict[int, Detection] = {}

    def __contains__(self, object_id: int) -> bool:
        return object_id in self._detections

    def add(self, object_id: int, proposal: Proposal, box: Box, stamp: int) -> None:
        """Add an object that was detected on the frame with this stamp, ns."""
        self._detections[object_id] = Detection(proposal.forget_after, stamp, box, stamp)

    def discard(self, object_id: int) -> None:
        """Drop an object that another source has prompted: it no longer expires."""
        self._detections.pop(object_id, None)

    @property
    def forget_after(self) -> dict[int, float]:
        """Maximum absence, s, of each object; 0: unlimited."""
        return {object_id: detection.forget_after for object_id, detection in self._detections.items()}

    def resume(self, forget_after: Mapping[int, float], stamp: int) -> None:
        """Take up objects of an earlier process, on the frame with this stamp, ns: their absence begins anew."""
        for object_id, seconds in forget_after.items():
            self._detections[object_id] = Detection(seconds, stamp, Box(0, 0, 0, 0), stamp)

    def clear(self) -> None:
        """Drop all objects."""
        self._detections.clear()

    def is_tracked(self, box: Box, frame: Frame, max_overlap: float) -> bool:
        """Whether the object of a detection is tracked already.

        It is if the IoU exceeds `max_overlap` with a masklet, or with the box of another detection on the same frame:
        detectors may detect one thing twice, and masks do not always fill their boxes.
        """
        boxes = [masklet.box for masklet in frame.masklets if masklet.present]
        boxes += [other.box for other in self._detections.values() if other.detected_at == frame.stamp]
        return any(overlap(box, other) > max_overlap for other in boxes)

    def expire(self, frame: Frame) -> list[tuple[Masklet, float]]:
        """Drop objects that are no longer tracked, and objects that have been absent for too long.

        Returns:
            Masklet and duration of the absence, s, of each object that was absent for too long.
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
        """Move the times of last presence: a gap between images, or a clock step, is no absence."""
        for detection in self._detections.values():
            detection.last_present += nanoseconds

    def limit(self, newest: int) -> None:
        """Limit the times of last presence to the newest stamp, ns: later ones came from wrong stamps."""
        for detection in self._detections.values():
            detection.last_present = min(detection.last_present, newest)
