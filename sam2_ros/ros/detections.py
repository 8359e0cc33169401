"""Tracked objects that come from a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sam2_ros.detection.policy import Decision, Detection, DetectionPolicy
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.ros.waiting_prompt import Proposal
from sam2_ros.tracking.boxes import overlaps
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Box, Prompt, PromptError


@dataclass
class DetectedObject:
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
    """What detectors have to say: the objects that only they have prompted, and the policy. Not thread-safe."""

    def __init__(self) -> None:
        self._detections: dict[int, DetectedObject] = {}
        self._policy = DetectionPolicy()

    def __contains__(self, object_id: int) -> bool:
        return object_id in self._detections

    def add(self, object_id: int, proposal: Proposal, prompt: Prompt, stamp: int) -> None:
        """Note that a detection has prompted an object on the frame with this stamp, ns: a new one, or a correction."""
        assert prompt.box is not None
        if not prompt.object_id or object_id in self._detections:  # a person's object stays a person's
            self._detections[object_id] = DetectedObject(proposal.forget_after, stamp, prompt.box, stamp)
        self._policy.prompted(object_id, stamp, prompt.box, prompt.label)

    def discard(self, object_id: int, stamp: int) -> None:
        """Drop an object that another source has prompted on the frame with this stamp, ns: it no longer expires."""
        self._detections.pop(object_id, None)
        self._policy.prompted(object_id, stamp)

    @property
    def forget_after(self) -> dict[int, float]:
        """Maximum absence, s, of each object; 0: unlimited."""
        return {object_id: detection.forget_after for object_id, detection in self._detections.items()}

    def resume(self, forget_after: Mapping[int, float], stamp: int) -> None:
        """Take up objects of an earlier process, on the frame with this stamp, ns: their absence begins anew."""
        for object_id, seconds in forget_after.items():
            self._detections[object_id] = DetectedObject(seconds, stamp, Box(0, 0, 0, 0), stamp)

    def clear(self) -> None:
        """Drop all objects."""
        self._detections.clear()
        self._policy.clear()

    def decide(self, detections: Sequence[Detection], frame: Frame, settings: DetectionSettings) -> Decision:
        """Decide on the detections of one message, on the frame of their image. Boxes are cut to it."""
        usable = []
        for detection in detections:
            try:
                prompt = Prompt(box=detection.box, label=detection.label).checked(frame.height, frame.width)
            except PromptError:
                continue
            assert prompt.box is not None
            usable.append(replace(detection, box=prompt.box))
        decision = self._policy.decide(usable, frame, self._detections.keys(), settings)
        if len(usable) < len(detections):
            decision.counts["unusable"] += len(detections) - len(usable)
        return decision

    def is_tracked(self, box: Box, frame: Frame, max_overlap: float) -> bool:
        """Whether the object of a detection is tracked already.

        It is if the IoU exceeds `max_overlap` with a masklet, or with the box of another detection on the same frame or
        a later one: detectors may detect one thing twice, and masks do not always fill their boxes.
        """
        boxes = [masklet.box for masklet in frame.masklets if masklet.present]
        boxes += [other.box for other in self._detections.values() if other.detected_at >= frame.stamp]
        return bool((overlaps([box], boxes) > max_overlap).any())

    def restamped(self) -> None:
        """Forget what is due to stamps, because those of the history have changed."""
        self._policy.shift()

    def expire(self, frame: Frame) -> list[tuple[Masklet, float]]:
        """Drop objects that are no longer tracked, and objects that have been absent for too long.

        Returns:
            Masklet and duration of the absence, s, of each object that was absent for too long.
        """
        remaining: dict[int, DetectedObject] = {}
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
        self._policy.limit_to({masklet.object_id for masklet in frame.masklets})
        return expired

    def shift(self, nanoseconds: int) -> None:
        """Move the times of last presence: a gap between images, or a clock step, is no absence."""
        for detection in self._detections.values():
            detection.last_present += nanoseconds

    def limit(self, newest: int) -> None:
        """Limit the times of last presence to the newest stamp, ns: later ones came from wrong stamps."""
        for detection in self._detections.values():
            detection.last_present = min(detection.last_present, newest)
