"""The policy for detections: what starts, what is corrected, what is taken up again, and what is already known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sam2_ros.detection.association import assign
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.detection.track import Track
from sam2_ros.tracking.boxes import grown, overlaps
from sam2_ros.tracking.mask_overlap import mask_iou
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Box

MAX_BOXES = 64
"""Maximum number of boxes of one message that count."""

MAX_CANDIDATES = 256
"""Maximum number of things that are remembered until they are confirmed."""

REACH = 0.3
"""Share of its size by which a box grows on each side when it is compared with where its thing was predicted: things
move between two detector frames (as in C-BIoU, Yang et al., WACV 2023)."""

PRIOR = 0.5
"""Weight of the predicted place beside the masklet's box, whose weight is 1."""

LEAST_GAIN = 0.1
"""Minimum gain of a pair: an IoU of 0.1 with the masklet, or of 0.2 with the predicted place."""

COVERED = 0.5
"""Maximum share of a new object's box that the mask of an object with the same label may cover."""

SHADOWED = 0.6
"""IoU of two masks from which on both are taken for masks of one thing."""

MAX_PATIENCE = 6
"""Corrections that do not help double the number of disagreements until the next, at most so many times."""

NOWHERE = Box(0, 0, 0, 0)
"""The box of what has no place; it overlaps nothing."""


@dataclass(frozen=True)
class Detection:
    """A box from a detector, in pixels within the image, with its class and score."""

    box: Box
    label: str = ""
    score: float = 1.0


@dataclass(frozen=True)
class Action:
    """What is to be done with an object because of a detection, on its frame."""

    kind: Literal["start", "correct", "recover", "remove"]
    object_id: int = 0
    """0 for a start."""
    detection: Detection | None = None
    """What to prompt; None: remove."""


@dataclass
class Decision:
    """The decision on the detections of one message."""

    actions: list[Action] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Number of detections that lead to no action, by reason: "agreeing", "known", "unconfirmed" ..."""


class DetectionPolicy:
    """Decides what the boxes of a detector mean for the tracked objects. Bounded in memory; not thread-safe.

    It remembers what was detected lately, also of what is not tracked yet. It changes nothing itself: actions are
    carried out by the caller, who reports prompts by `prompted`.
    """

    def __init__(self) -> None:
        self._objects: dict[int, Track] = {}
        self._candidates: list[Track] = []
        self._number = 0  # of the newest detector frame
        self._stamp: int | None = None  # of that

    def clear(self) -> None:
        """Forget everything."""
        self._objects.clear()
        self._candidates.clear()
        self._stamp = None

    def shift(self) -> None:
        """Forget what depends on stamps, because they have changed."""
        self._candidates.clear()
        self._stamp = None
        for track in self._objects.values():
            track.stamp = track.prompted_at = None

    def limit_to(self, object_ids: Collection[int]) -> None:
        """Forget the objects that are no longer tracked: these are."""
        if len(self._objects) > len(object_ids):
            self._objects = {object_id: track for object_id, track in self._objects.items() if object_id in object_ids}

    def prompted(self, object_id: int, stamp: int, box: Box | None = None, label: str = "") -> None:
        """Note that an object was prompted on the frame with this stamp, ns, by a detector or a person."""
        track = self._objects.setdefault(object_id, Track(label, object_id))
        track.prompted_at = stamp
        track.doubts = track.shadowed = 0
        if box is not None:
            candidate = self._take_candidate(box, stamp)
            track.place, track.box, track.stamp = box, box, stamp
            if candidate is not None:
                track.hits, track.velocity = candidate.hits, candidate.velocity

    def decide(
        self, detections: Sequence[Detection], frame: Frame, own: Collection[int], settings: DetectionSettings
    ) -> Decision:
        """Decide on the detections of one message.

        Args:
            detections: boxes within the image, best first; only the first `MAX_BOXES` count.
            frame: all masklets on the detector's image.
            own: IDs of the objects that only detectors have prompted.
        """
        decision = Decision()
        if len(detections) > MAX_BOXES:
            decision.counts["in excess"] += len(detections) - MAX_BOXES
            detections = detections[:MAX_BOXES]
        again = frame.stamp == self._stamp  # two detectors may send boxes of one image: it counts once
        if not again:
            self._number, self._stamp = self._number + 1, frame.stamp
        masklets = {masklet.object_id: masklet for masklet in frame.masklets}
        self._note(masklets)
        pairs = self._associate(detections, masklets, frame.stamp)
        correctable = set(masklets) if settings.correct_all else set(own) & set(masklets)
        occupied = _Occupied(frame, self._objects.values(), settings.max_overlap)

        free: list[tuple[Detection, Track]] = []
        seen: set[int] = set()
        for detection, track in pairs:
            again_here = track.hit(detection.box, frame.stamp, self._number)
            if not track.object_id:
                free.append((detection, track))
                continue
            seen.add(track.object_id)
            if again_here:
                decision.counts["known"] += 1
                continue
            action = self._check(track, detection, masklets[track.object_id], frame.stamp, settings)
            if action is not None and settings.corrects and track.object_id in correctable:
                if occupied.by(detection, but=track.object_id):
                    decision.counts["known"] += 1
                    continue
                track.corrections, track.doubts = track.corrections + 1, 0
                occupied.claim(detection.box)
                decision.actions.append(action)
            else:
                decision.counts["agreeing" if track.doubts == 0 else "disagreeing"] += 1

        shadows = set() if again else self._shadows(masklets, seen, set(own), settings)
        lost = [
            self._objects[masklet.object_id]
            for masklet in frame.masklets
            if masklet.object_id in correctable - seen
            and (not masklet.present or masklet.object_id in shadows)
            and not self._objects[masklet.object_id].is_after(frame.stamp)
        ]
        for detection, track in free:
            if occupied.by(detection, seen=seen):
                decision.counts["known"] += 1
            elif track.hits_since(self._number + 1 - max(settings.confirm, settings.confirm_within)) < settings.confirm:
                decision.counts["unconfirmed"] += 1
            elif settings.corrects and (found := _nearest(lost, detection)) is not None:
                lost.remove(found)
                occupied.claim(detection.box)
                decision.actions.append(Action("recover", found.object_id, detection))
            elif settings.starts:
                occupied.claim(detection.box)
                decision.actions.append(Action("start", 0, detection))
            else:
                decision.counts["new"] += 1
        if settings.corrects:
            used = {action.object_id for action in decision.actions}
            long_shadowed = [
                object_id
                for object_id in shadows
                if object_id not in used and self._objects[object_id].shadowed >= 2 * settings.correct_after
            ]
            decision.actions += [Action("remove", object_id) for object_id in long_shadowed]
        self._forget(max(settings.confirm, settings.confirm_within))
        return decision

    def _note(self, masklets: dict[int, Masklet]) -> None:
        """Note which objects are tracked, and where they are visible."""
        self._objects = {
            object_id: self._objects.get(object_id, Track(masklet.label, object_id))
            for object_id, masklet in masklets.items()
        }
        for object_id, masklet in masklets.items():
            self._objects[object_id].label = masklet.label
            if masklet.present:
                self._objects[object_id].place = masklet.box

    def _associate(
        self, detections: Sequence[Detection], masklets: dict[int, Masklet], stamp: int
    ) -> list[tuple[Detection, Track]]:
        """Each detection with the object or the candidate that it belongs to, or with a new candidate."""
        tracks = [*self._objects.values(), *self._candidates]
        boxes = [detection.box for detection in detections]
        visible = [
            masklet.box if (masklet := masklets.get(track.object_id)) is not None and masklet.present else NOWHERE
            for track in tracks
        ]
        predicted = [track.predicted(stamp) or NOWHERE for track in tracks]
        reach = overlaps([grown(box, REACH) for box in boxes], [grown(box, REACH) for box in predicted])
        gain = overlaps(boxes, visible) + PRIOR * reach
        labels = np.array([detection.label for detection in detections], object)[:, None]
        others = np.array([track.label for track in tracks], object)
        gain = np.where((labels == others) | (labels == "") | (others == ""), gain, 0.0)
        found = dict(assign(gain, LEAST_GAIN))
        pairs = []
        for row, detection in enumerate(detections):
            if row in found:
                pairs.append((detection, tracks[found[row]]))
            else:
                new = Track(detection.label)
                self._candidates.append(new)
                pairs.append((detection, new))
        return pairs

    def _check(
        self, track: Track, detection: Detection, masklet: Masklet, stamp: int, settings: DetectionSettings
    ) -> Action | None:
        """Compare a masklet with its detection. Returns what is to be done about it."""
        if track.is_after(stamp):  # prompted on a later image: its masklet here, if any, is out of date
            return None
        iou = overlaps([detection.box], [masklet.box])[0, 0] if masklet.present else 0.0
        if iou >= settings.trust_above:
            track.doubts = track.corrections = 0
        elif iou < settings.correct_below:
            track.doubts += 1
        enough = settings.correct_after if masklet.present else settings.confirm
        if track.doubts < enough * 2 ** min(track.corrections, MAX_PATIENCE):
            return None
        return Action("correct" if masklet.present else "recover", track.object_id, detection)

    def _shadows(
        self, masklets: dict[int, Masklet], seen: set[int], own: set[int], settings: DetectionSettings
    ) -> set[int]:
        """IDs of the detected objects whose masklets have come to lie on those of others, and stay there."""
        present = [masklet for masklet in masklets.values() if masklet.present]
        boxes = [masklet.box for masklet in present]
        doubled: set[int] = set()
        undecided: set[int] = set()
        for first, second in zip(*np.nonzero(np.triu(overlaps(boxes, boxes) > SHADOWED / 2, 1)), strict=True):
            pair = present[first], present[second]
            if not _compatible(*(masklet.label for masklet in pair)) or mask_iou(pair[0].mask, pair[1].mask) < SHADOWED:
                continue
            mine = [masklet.object_id for masklet in pair if masklet.object_id in own]
            unseen = [object_id for object_id in mine if object_id not in seen]
            if len(mine) == 1:
                doubled.add(mine[0])
            elif len(mine) == 2 and len(unseen) == 1:
                doubled.add(unseen[0])
            elif len(unseen) == 2:
                undecided.update(unseen)
        for object_id, track in self._objects.items():
            if object_id in doubled:
                track.shadowed += 1
            elif object_id not in undecided:
                track.shadowed = 0
        return {object_id for object_id in doubled if self._objects[object_id].shadowed >= settings.correct_after}

    def _take_candidate(self, box: Box, stamp: int) -> Track | None:
        """Remove the candidate with this newest detection, and return it; None: there is none."""
        for track in self._candidates:
            if track.box == box and track.stamp == stamp:
                self._candidates.remove(track)
                return track
        return None

    def _forget(self, window: int) -> None:
        """Forget candidates that have not been detected lately, or that are too many."""
        recent = [track for track in self._candidates if track.hits_since(self._number + 1 - window)]
        recent.sort(key=lambda track: (track.hits[-1], len(track.hits)))
        self._candidates = recent[-MAX_CANDIDATES:]


class _Occupied:
    """The places where no object may start.

    Args:
        frame: all masklets.
        tracks: of all objects.
        max_overlap: maximum IoU of a new object's box with those of others.
    """

    def __init__(self, frame: Frame, tracks: Collection[Track], max_overlap: float) -> None:
        self._present = [masklet for masklet in frame.masklets if masklet.present]
        self._ids = [masklet.object_id for masklet in self._present]
        self._boxes = [masklet.box for masklet in self._present]
        for track in tracks:
            if track.is_after(frame.stamp) and track.box is not None:
                self._ids.append(track.object_id)
                self._boxes.append(track.box)
        self._max_overlap = max_overlap

    def claim(self, box: Box) -> None:
        """Note that an object will be here."""
        self._ids.append(0)
        self._boxes.append(box)

    def by(self, detection: Detection, but: int = -1, seen: Collection[int] = ()) -> bool:
        """Whether an object is where the detection is.

        Args:
            but: ID of an object that does not count.
            seen: IDs of objects that have another detection in the same message.
        """
        overlap = overlaps([detection.box], self._boxes)[0]
        limits = [beside_seen(self._max_overlap) if other in seen else self._max_overlap for other in self._ids]
        if any(iou > most for iou, most, other in zip(overlap, limits, self._ids, strict=True) if other != but):
            return True
        left, top = round(detection.box.x), round(detection.box.y)
        right, bottom = round(detection.box.x + detection.box.width), round(detection.box.y + detection.box.height)
        share = max(COVERED, self._max_overlap)
        for masklet, iou in zip(self._present, overlap, strict=False):  # behind these are boxes without a mask
            if iou > 0 and masklet.object_id != but and _compatible(masklet.label, detection.label):
                part = masklet.mask[top:bottom, left:right]
                if np.count_nonzero(part) > share * part.size:
                    return True
        return False


def beside_seen(max_overlap: float) -> float:
    """Maximum IoU of a new object's box with that of an object that has its own detection in the same message.

    The detector tells the two apart; as neighbours, or one before the other, they may overlap more.
    """
    return min(1.0, 2 * max_overlap)


def _compatible(first: str, second: str) -> bool:
    """Whether labels may be those of one thing. Objects without a label may be anything."""
    return not first or not second or first == second


def _nearest(lost: Sequence[Track], detection: Detection) -> Track | None:
    """The lost object with the detection's label that was seen nearest to it; None: there is none."""

    def distance(track: Track) -> float:
        box, place = detection.box, track.place or detection.box
        across, down = (
            box.x + box.width / 2 - place.x - place.width / 2,
            box.y + box.height / 2 - place.y - place.height / 2,
        )
        return float(np.hypot(across, down))

    alike = [track for track in lost if track.label == detection.label]
    return min(alike, key=distance, default=None)
