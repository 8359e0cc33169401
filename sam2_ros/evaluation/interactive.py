"""Interactive segmentation of videos: a simulated user corrects the frames with the largest errors.

SAM 2 paper, section 6.1.1 and appendix E.1.2. Each annotated frame gets three clicks, each at the centre of the largest
error; the first one is that on which the object appears. There are two modes:

- offline: each round corrects the frame with the lowest IoU that is not annotated yet, and tracks the whole video again
  with all clicks.
- online: a single pass through the video pauses where the IoU is below 0.75, corrects that frame, and resumes tracking
  from there.

Both run on a tracker whose history holds the whole clip, so each image is encoded only once. The result of `online` is
that of a single pass, for every number of annotated frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sam2_ros.acceleration import Network
from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.prompts import correct
from sam2_ros.evaluation.report import Curves, Report, Rows, Table, mean, percent
from sam2_ros.evaluation.scores import ObjectScore, score
from sam2_ros.evaluation.vos import stamp
from sam2_ros.model.sam2 import SAM2
from sam2_ros.tracking.tracker import Tracker

MODES = ("offline", "online")
ROUNDS = 8
CLICKS = 3
"""Number of clicks on each annotated frame."""
PAUSE_IOU = 0.75
"""IoU below which the user corrects a frame in online mode."""


@dataclass(frozen=True)
class Annotation:
    """Annotation of one object in one round."""

    frame: int
    clicks: int


@dataclass(frozen=True)
class Round:
    """The result of one round of annotation."""

    annotations: Mapping[int, Annotation]
    """Annotations of this round, by object ID; objects without errors have none."""
    scores: Sequence[ObjectScore]
    """Scores of all objects. As in semi-supervised segmentation, the first annotated frame and the clip's last don't
    count; frames that are annotated later do."""


def recording_tracker(network: SAM2 | Network, clip: Clip, rounds: int = ROUNDS) -> Tracker:
    """A tracker that stores every frame of a clip, and one prompt for each round.

    For many clips, accelerate the network once. A tracker takes memory: in float32, 17 MB a frame and 1.3 MB more for
    each object at 1024 pixels.
    """
    return Tracker(
        network,
        history=len(clip),
        max_objects=max(len(clip.object_ids), 1),
        prompted_memories=max(rounds, 2),
    )


def interact(tracker: Tracker, clip: Clip, mode: str, rounds: int = ROUNDS) -> Iterator[Round]:
    """Annotate and track all objects of a clip, and yield the result of each round.

    Ends before `rounds` when no errors are left. The tracker uses the clip's object IDs; after each round, its
    `frame_at` returns the masks.

    Args:
        tracker: one that keeps the whole clip (`recording_tracker`); it is reset first.
        mode: one of MODES.
    """
    tracker.reset()
    for index, image in enumerate(clip.frames):
        tracker.step(image, stamp(clip, index))
    annotated: dict[int, list[int]] = {object_id: [] for object_id in clip.object_ids}
    chosen = _first_frames(clip)
    for _ in range(rounds):
        annotations = {}
        for object_id, frame in chosen.items():
            annotations[object_id] = _annotate(tracker, clip, object_id, frame)
            from_start = mode == "offline" and annotated[object_id]
            tracker.retrack(object_id, None if from_start else stamp(clip, frame))
            annotated[object_id].append(frame)
        answers = (tracker.frame_at(stamp(clip, index)) for index in range(len(clip)))
        scores = score(clip, answers, {object_id: frames[0] for object_id, frames in annotated.items() if frames})
        yield Round(annotations, scores)
        choose = _worst if mode == "offline" else _next_below_threshold
        following = {scored.object_id: choose(scored, annotated[scored.object_id]) for scored in scores}
        chosen = {object_id: frame for object_id, frame in following.items() if frame is not None}
        if not chosen:
            return


def _first_frames(clip: Clip) -> dict[int, int]:
    """The first frame on which each object is visible, by object ID."""
    first: dict[int, int] = {}
    for index, truth in enumerate(clip.masks):
        for row, object_id in enumerate(clip.object_ids):
            if truth is not None and object_id not in first and truth[row].any():
                first[object_id] = index
        if len(first) == len(clip.object_ids):
            break
    return first


def _annotate(tracker: Tracker, clip: Clip, object_id: int, frame: int) -> Annotation:
    masks = clip.masks[frame]
    assert masks is not None
    truth = masks[clip.object_ids.index(object_id)]
    masklet = tracker.frame_at(stamp(clip, frame)).masklet(object_id)
    mask = np.zeros_like(truth) if masklet is None else masklet.mask
    return Annotation(frame, len(correct(tracker, object_id, mask, truth, CLICKS, stamp(clip, frame))))


def _worst(scored: ObjectScore, annotated: Sequence[int]) -> int | None:
    """The (first) frame with the lowest IoU that is not annotated yet; None if there is no error."""
    frames = [frame for frame in scored.frames if frame.frame not in annotated and frame.j < 1]
    return min(frames, key=lambda frame: frame.j).frame if frames else None


def _next_below_threshold(scored: ObjectScore, annotated: Sequence[int]) -> int | None:
    """The first frame below the threshold after the last annotated one."""
    return next((frame.frame for frame in scored.frames if frame.frame > annotated[-1] and frame.j < PAUSE_IOU), None)


def interactive_report(settings: Mapping[str, str], clips: Mapping[str, Sequence[Round]], rows: Rows, rounds: int,
                       notes: Sequence[str] = ()) -> Report:  # fmt: skip
    """Tables and curves of J&F over annotated frames; objects without errors keep their last score."""
    objects = [curve for name, done in clips.items() for curve in _by_object(name, done, rounds)]
    numbers = list(range(1, rounds + 1))
    columns = ["objects", *map(str, numbers), "mean", "frames", "clicks"]

    def cells(curves: Sequence[_Curve]) -> list[str]:
        means = [mean(curve.j_and_f[n] for curve in curves) for n in range(rounds)]
        frames = mean(len(curve.annotations) for curve in curves)
        clicks = mean(sum(annotation.clicks for annotation in curve.annotations) for curve in curves)
        return [str(len(curves)), *map(percent, means), percent(mean(means)), f"{frames:.1f}", f"{clicks:.1f}"]

    def curves_of(clips: set[str]) -> list[_Curve]:
        return [curve for curve in objects if curve.clip in clips]

    note = (
        f"J&F in percent after 1 .. {rounds} annotated frames of {CLICKS} clicks each, their mean, and the number"
        " of frames and clicks of an object; means over objects. The first annotated frame and the clip's last don't"
        " count."
    )
    tables = [
        Table(heading, columns, [(name, cells(curves_of(clips))) for name, clips in parts.items()])
        for heading, parts in rows.tables().items()
    ]
    lines = {
        name: (numbers, [mean(curve.j_and_f[n] for curve in curves_of(clips)) for n in range(rounds)])
        for name, clips in rows.lines().items()
    }
    data = {
        "j_and_f": lines["all"][1],
        "objects": [
            {
                "clip": curve.clip,
                "object_id": curve.object_id,
                "frames": [annotation.frame for annotation in curve.annotations],
                "clicks": [annotation.clicks for annotation in curve.annotations],
                "j": curve.j,
                "f": curve.f,
            }
            for curve in objects
        ],
    }
    return Report(settings, tables, [note, *notes], data, Curves(lines, "annotated frames", "J&F"))


@dataclass(frozen=True)
class _Curve:
    """One object's scores after each round."""

    clip: str
    object_id: int
    annotations: Sequence[Annotation]
    j: Sequence[float]
    f: Sequence[float]

    @property
    def j_and_f(self) -> list[float]:
        return [(j + f) / 2 for j, f in zip(self.j, self.f, strict=True)]


def _by_object(clip: str, done: Sequence[Round], rounds: int) -> Iterator[_Curve]:
    padded = [*done, *[done[-1]] * (rounds - len(done))]
    for row, one in enumerate(done[0].scores):
        if one.frames:
            annotations = [r.annotations[one.object_id] for r in done if one.object_id in r.annotations]
            scores = [r.scores[row] for r in padded]
            yield _Curve(clip, one.object_id, annotations, [s.j for s in scores], [s.f for s in scores])
