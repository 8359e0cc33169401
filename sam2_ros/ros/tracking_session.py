"""The tracker with the additions of ROS: headers, corrected stamps, and detections that expire."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from sam2_ros.ros.detections import Detections
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.image_pipeline import PreparedImage
from sam2_ros.ros.log import Log
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.quantity import quantity
from sam2_ros.ros.resume_file import KeptObjects
from sam2_ros.ros.sightings import Sightings
from sam2_ros.ros.snapshot import ProcessedImage, Snapshot
from sam2_ros.ros.timeline import MIN_LEAP, Jump, restamped
from sam2_ros.ros.tracked_image import TrackedImage
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.tracker import Tracker


class TrackingSession:
    """Owns the tracker. Belongs to one thread; others may read `snapshot`.

    Args:
        on_shift: called with a stamp, ns, and a shift, ns, when the clock of the images was set: later stamps move by
            the shift.
        kept: objects of an earlier process to begin with; None: what a later one would need is not recorded.
    """

    def __init__(
        self,
        tracker: Tracker,
        meter: Meter,
        log: Log,
        on_shift: Callable[[int, int], None],
        kept: KeptObjects | None = None,
    ) -> None:
        self.tracker = tracker
        self.detections = Detections()
        self.snapshot = Snapshot(max_objects=tracker.max_objects)
        """State of the tracker after its last update; immutable, and replaced by each update."""
        self.newest_image: np.ndarray | None = None
        """uint8 [H, W, 3] RGB."""
        self.last_step = 0.0
        """Time of the last processed image, s of the monotonic clock."""
        self._newest: ProcessedImage | None = None
        self._arrived = 0.0  # s of the monotonic clock, when the last processed image arrived
        self.meter = meter
        self._log = log
        self._on_shift = on_shift
        self._paused = False  # since the last image
        self._sightings: Sightings | None = None
        self._resumed: Mapping[int, float] = {}  # detected objects, until the first image
        if kept is not None:
            resumed = tracker.resume(kept.sightings, kept.next_id)
            self._sightings = Sightings(tracker.network.config, kept.sightings)
            self._resumed = {
                object_id: kept.forget_after[object_id] for object_id in resumed if object_id in kept.forget_after
            }
            self.update()

    def step(self, image: PreparedImage) -> Frame:
        """Track all objects on the next image; then remove detected objects that have been absent for too long."""
        stamp, stamps = image.stamp, self.tracker.stamps
        waited, self._arrived = image.arrived.time - self._arrived, image.arrived.time
        if stamps and stamps[-1] >= stamp:  # the images after the jump of time have failed
            self._restamp(stamp, Jump(stamps[-1] - stamp))
        before = set(self.tracker.labels)
        frame = self.tracker.step(image.encoded, stamp)
        for object_id in sorted(before - set(self.tracker.labels)):
            self.meter.count("out of memory", detail=f"object {object_id} is not tracked any more")
        height, width = image.pixels.shape[:2]
        processed = ProcessedImage(image.arrived.message.header, height, width)
        if self._newest is not None:
            self._note_changes(self._newest, processed)
        self._newest = processed
        self._update({stamp: processed})
        self.newest_image = image.pixels
        self.last_step = time.monotonic()
        if self._sightings is not None:
            self._sightings.add_image(stamp, image.pixels)
        if self._resumed:
            self.detections.resume(self._resumed, stamp)
            self._resumed = {}
        # A gap between images, or a wrong stamp, is no absence.
        leaps = len(stamps) > 1 and stamp - stamps[-1] > max(MIN_LEAP, 5 * (stamps[-1] - stamps[-2]))
        if leaps or (stamps and self._paused):
            self.detections.shift(stamp - stamps[-1])
        if leaps:
            self._note_leap(stamp - stamps[-1], waited)
        self._paused = False
        if expired := self.detections.expire(frame):
            for masklet, absent in expired:
                self._log.info(f"Object {masklet.object_id} ({masklet.label}) is removed: absent for {absent:.1f} s")
                self.tracker.remove(masklet.object_id)
            self.update()
        return frame

    def note_pause(self) -> None:
        """Note that images were left out since the last: objects were not absent in the meantime."""
        self._paused = True

    def note_prompt(self, masklet: Masklet, stamp: int, replaced: bool) -> None:
        """Note the answer to a prompt.

        Args:
            stamp: the tracker's, of the prompted image, ns.
            replaced: whether the object is new, or began again.
        """
        if self._sightings is not None:
            self._sightings.add_prompted(masklet, stamp, self.tracker.newest, replaced)

    def kept(self) -> KeptObjects:
        """What a later process needs to go on with these objects."""
        sightings = () if self._sightings is None else self._sightings.of(self.tracker.newest, self.tracker.labels)
        return KeptObjects(sightings, self.tracker.next_id, {**self._resumed, **self.detections.forget_after})

    @property
    def newest(self) -> TrackedImage | None:
        """The newest processed image; None: there is none."""
        if (frame := self.tracker.newest) is None or self.newest_image is None:
            return None
        return TrackedImage(self.snapshot.header_of(frame.stamp), self.newest_image, frame)

    def _note_leap(self, gap: int, waited: float) -> None:
        """Note that stamps have gone ahead by `gap` ns, if the images came closer together: after `waited` seconds."""
        if gap - waited * 1e9 <= MIN_LEAP:
            return
        leap = f"by {gap / 1e9:.3f} s between images that came {waited:.3f} s apart"
        self.meter.count(
            "time leaps", detail=f"ahead {leap}; tracked objects are kept. Is a clock being set (NTP, PTP)?"
        )
        self._log.warning(f"Stamps have jumped ahead {leap}; tracked objects are kept", throttle_duration_sec=10.0)

    def _note_changes(self, before: ProcessedImage, after: ProcessedImage) -> None:
        """Note changes of the camera, which leave the tracked objects as they are."""
        sizes = [f"{image.width}x{image.height}" for image in (before, after)]
        frames = [excerpt(image.header.frame_id, 80) for image in (before, after)]
        if sizes[0] != sizes[1]:
            self._note_change("resolution changes", "The resolution", *sizes)
        if frames[0] != frames[1]:
            self._note_change("frame changes", "frame_id", *(f"'{frame}'" for frame in frames))

    def _note_change(self, event: str, what: str, before: str, after: str) -> None:
        self.meter.count(event, detail=f"from {before} to {after}")
        line = f"{what} has changed from {before} to {after}; tracked objects are kept"
        self._log.warning(line, throttle_duration_sec=10.0, kind=event)

    def frame_at(self, stamp: int) -> Frame:
        """The frame of the history that is nearest to a stamp, ns; 0: the newest.

        Raises:
            PromptError: the stamp is outside the history, or the history is empty.
        """
        newest = self.tracker.newest
        if newest is not None and stamp in (0, newest.stamp):
            return newest
        return self.tracker.frame_at(stamp or None)

    def update(self) -> None:
        """Replace the snapshot, after the tracker has changed."""
        self._update({})

    def remove_duplicate(self, object_id: int) -> None:
        """Stop tracking a detected object whose masklet has come to lie on that of another object, for good."""
        self._log.info(f"Object {object_id} ({self.tracker.labels[object_id]}) is removed: it doubles another one")
        self.tracker.remove(object_id)
        self.update()

    def reset(self) -> None:
        """Forget all objects and images."""
        self.tracker.reset()
        self.detections.clear()
        self._resumed = {}
        self.update()

    def jump(self, first: int, jump: Jump) -> None:
        """Handle a jump of time to the stamp `first`, ns, of the next image: forget all, or restamp the history."""
        newest = self.tracker.newest
        event = "wrong stamps" if jump.corrects else "time jumps"
        self.meter.count(event, detail=_described(jump, 0 if newest is None else len(newest.masklets)))
        if newest is None:
            return
        if jump.forget:
            self._log.warning(
                f"Time has jumped back by {jump.back / 1e9:.3f} s (a looped bag?): the tracker restarts and"
                f" forgets {quantity(len(newest.masklets), 'object')}. To keep them, set time_jump to keep",
                throttle_duration_sec=5.0,
            )
            self.reset()
        elif newest.stamp >= first:
            self._restamp(first, jump)

    def _restamp(self, first: int, jump: Jump) -> None:
        """Give the frames of the history stamps before the next image's, so that nothing has to be forgotten."""
        before = self.tracker.stamps
        moved = restamped(before, first, jump)
        if not moved or (len(moved) < len(before) and before[-len(moved) - 1] >= moved[0]):
            moved = restamped(before, first, Jump(jump.back))
        self.tracker.restamp(*moved)
        self.detections.restamped()
        self._update({new: self.snapshot.images[old] for new, old in zip(self.tracker.stamps, before, strict=True)})
        back = (before[-1] - first) / 1e9
        if jump.corrects:
            self._log.warning(
                f"Stamps were wrong, the newest by {back:.3f} s, as the next image shows; tracked objects are kept",
                throttle_duration_sec=5.0,
            )
            self.detections.limit(moved[-1])
            return
        self._log.warning(f"The clock went back by {back:.3f} s; tracked objects are kept", throttle_duration_sec=5.0)
        shift = moved[-1] - before[-1]
        self.detections.shift(shift)
        self._on_shift(before[-1], shift)

    def _update(self, new: dict[int, ProcessedImage]) -> None:
        images = {**self.snapshot.images, **new}
        images = {stamp: images[stamp] for stamp in self.tracker.stamps if stamp in images}
        self.snapshot = Snapshot(images, frozenset(self.tracker.labels), self.tracker.max_objects)


def _described(jump: Jump, objects: int) -> str:
    """What a jump of time was, and what became of the objects."""
    length = f"by {abs(jump.back) / 1e9:.3f} s"
    if jump.corrects:
        return length
    direction = "back" if jump.back >= 0 else "ahead"
    if jump.forget:
        forgotten = quantity(objects, "object")
        return f"{direction} {length} (a looped bag?): {forgotten} forgotten. To keep objects: time_jump: keep"
    return f"{direction} {length}; tracked objects are kept. Is a clock being set (NTP, PTP), or a bag looped?"
