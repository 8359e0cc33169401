"""Semi-supervised video object segmentation: each object is prompted once, and tracked from there.

SAM 2 paper, section 6.1.2 and appendix E.1.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.prompts import prompt_object
from sam2_ros.evaluation.report import Curves, Report, Rows, Table, mean, percent
from sam2_ros.evaluation.scores import ObjectScore, Summary, summary
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.tracker import Tracker

COLUMNS = ("objects", "frames", "J&F", "J", "F", "presence", "recall", "F1", "switches")
NOTE = (
    "J&F, J and F: means over objects in percent, without the prompted frame and the clip's last. Presence:"
    " precision over frames on which an object is predicted to be visible; its recall; F1. Switches: masks that switch"
    " to another object, or back."
)


def follow(tracker: Tracker, clip: Clip, kinds: Sequence[str]) -> Iterator[dict[str, Frame]]:
    """Run a tracker over a clip, and yield its result for every frame by kind of prompt.

    Each object is prompted (`prompts.KINDS`) on the first frame on which it is visible. Several kinds are tracked side
    by side, as separate objects, so each image is encoded only once. Results have the clip's object IDs. The tracker is
    reset first.

    Raises:
        MemoryError: the tracker has dropped an object.
        PromptError: the tracker's limit of objects is too small.
    """
    tracker.reset()
    ids = {key: number for number, key in enumerate(product(kinds, clip.object_ids), 1)}
    waiting = set(clip.object_ids)
    for index, (image, truth) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        tracker.step(image, stamp(clip, index))
        for row, object_id in enumerate(clip.object_ids):
            if truth is not None and object_id in waiting and truth[row].any():
                for kind in kinds:
                    prompt_object(tracker, kind, ids[kind, object_id], truth[row])
                waiting.discard(object_id)
        assert tracker.newest is not None
        if len(tracker.newest.masklets) < len(kinds) * (len(clip.object_ids) - len(waiting)):
            raise MemoryError(f"{clip.name}: out of memory for this number of objects; use fewer kinds of prompts")
        answers: dict[str, list[Masklet]] = {kind: [] for kind in kinds}
        for (kind, object_id), number in ids.items():
            masklet = tracker.newest.masklet(number)
            if masklet is not None:
                answers[kind].append(replace(masklet, object_id=object_id))
        yield {kind: replace(tracker.newest, masklets=tuple(masklets)) for kind, masklets in answers.items()}


def stamp(clip: Clip, index: int) -> int:
    """Time of a frame, ns."""
    return round(index * 1e9 / clip.fps)


def vos_report(
    settings: Mapping[str, str], scores: Mapping[str, Sequence[ObjectScore]], rows: Rows, notes: Sequence[str] = ()
) -> Report:
    """Tables of scores, by kind of prompt."""
    totals = {kind: summary(kind_scores) for kind, kind_scores in scores.items()}
    if len(scores) == 1:
        (kind_scores,) = scores.values()
        tables = [
            Table(
                heading,
                COLUMNS,
                [(name, _cells(summary(_in_clips(kind_scores, clips)))) for name, clips in parts.items()],
            )
            for heading, parts in rows.tables().items()
        ]
        data: dict[str, object] = _data(kind_scores, rows)
        lines = {name: _over_time(_in_clips(kind_scores, clips)) for name, clips in rows.lines().items()}
    else:
        tables = [Table("prompt", COLUMNS, [(kind, _cells(total)) for kind, total in totals.items()])]
        for heading, parts in rows.tables().items():
            cells = {
                name: [percent(summary(_in_clips(kind_scores, clips)).j_and_f) for kind_scores in scores.values()]
                for name, clips in parts.items()
            }
            tables.append(Table(f"{heading}, J&F", list(scores), list(cells.items())))
        data = {"prompts": {kind: _data(kind_scores, rows) for kind, kind_scores in scores.items()}}
        lines = {kind: _over_time(kind_scores) for kind, kind_scores in scores.items()}
    return Report(settings, tables, [NOTE, *notes], data, Curves(lines, "frames since the object was prompted", "J&F"))


def _in_clips(scores: Sequence[ObjectScore], clips: set[str]) -> list[ObjectScore]:
    return [score for score in scores if score.clip in clips]


def _cells(row: Summary) -> list[str]:
    percents = [row.j_and_f, row.j, row.f, row.presence_precision, row.presence_recall, row.presence_f1]
    return [str(row.objects), str(row.frames), *map(percent, percents), str(row.switches)]


def _over_time(scores: Sequence[ObjectScore]) -> tuple[list[float], list[float]]:
    """Mean J&F over objects by the number of frames since they were prompted."""
    values: dict[int, list[float]] = defaultdict(list)
    for score in scores:
        if score.start is None:
            continue
        for frame in score.frames:
            values[frame.frame - score.start].append((frame.j + frame.f) / 2)
    return list(map(float, sorted(values))), [mean(values[age]) for age in sorted(values)]


def _data(scores: Sequence[ObjectScore], rows: Rows) -> dict[str, object]:
    return {
        "total": asdict(summary(scores)),
        "challenges": {name: asdict(summary(_in_clips(scores, clips))) for name, clips in rows.by_challenge().items()},
        "clips": {name: asdict(summary(_in_clips(scores, clips))) for name, clips in rows.by_clip().items()},
        "objects": [
            {
                "clip": score.clip,
                "object_id": score.object_id,
                "prompted": score.start,
                "frame": [frame.frame for frame in score.frames],
                "j": [frame.j for frame in score.frames],
                "f": [frame.f for frame in score.frames],
                "visible": [frame.visible for frame in score.frames],
                "present": [frame.present for frame in score.frames],
                "switches": score.switches,
            }
            for score in scores
        ],
    }
