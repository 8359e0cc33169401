"""What a training was worth: the same clips tracked with the weights before and after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.evaluation.gallery import SUBTITLE, outlined
from sam2_ros.evaluation.report import ALL, Curves, Report, Table, percent
from sam2_ros.evaluation.scores import ObjectScore, Scorer, Summary, summary
from sam2_ros.evaluation.vos import COLUMNS, NOTE, follow
from sam2_ros.model.sam2 import SAM2
from sam2_ros.tracking.contact_sheet import contact_sheet, thumbnail
from sam2_ros.tracking.overlay import Overlay
from sam2_ros.tracking.tracker import Tracker

BEFORE, AFTER = "before", "after"

PICTURED, FRAMES = 3, 4
"""Clips in the picture, and frames of each."""


@dataclass(frozen=True, eq=False)
class BeforeAndAfter:
    """Scores of clips, and a picture."""

    scores: Mapping[str, Sequence[ObjectScore]]
    """Under `BEFORE` and `AFTER`."""
    picture: np.ndarray
    """Some frames of some clips, before and after: uint8 [H, W, 3] RGB."""
    skipped: Sequence[ClipError]
    """Why clips could not be scored."""

    def summary(self, when: str) -> Summary:
        return summary(self.scores[when])

    @property
    def gain(self) -> float:
        """J&F after less J&F before, -1 .. 1."""
        return self.summary(AFTER).j_and_f - self.summary(BEFORE).j_and_f

    @property
    def uncertainty(self) -> float:
        """Standard error of the gain, from how much it differs among objects; NaN for fewer than two."""
        pairs = zip(self.scores[BEFORE], self.scores[AFTER], strict=True)
        gains = [after.j_and_f - before.j_and_f for before, after in pairs if before.frames]
        return float(np.std(gains, ddof=1) / math.sqrt(len(gains))) if len(gains) > 1 else math.nan

    def report(self, settings: Mapping[str, str], notes: Sequence[str]) -> Report:
        """Tables of scores, of all clips and of each."""
        names = list(dict.fromkeys(score.clip for score in self.scores[BEFORE]))
        rows = []
        for name in names:
            of_clip = [summary([one for one in self.scores[when] if one.clip == name]) for when in (BEFORE, AFTER)]
            rows.append((name, [str(of_clip[0].objects), *(percent(one.j_and_f) for one in of_clip)]))
        every = [self.summary(when) for when in (BEFORE, AFTER)]
        rows.append((ALL, [str(every[0].objects), *(percent(one.j_and_f) for one in every)]))
        tables = [
            Table("weights", COLUMNS, [(when, _cells(one)) for when, one in zip((BEFORE, AFTER), every, strict=True)]),
            Table("recording", ("objects", "J&F before", "J&F after"), rows),
        ]
        data: dict[str, object] = {when: asdict(one) for when, one in zip((BEFORE, AFTER), every, strict=True)}
        data |= {"gain": self.gain, "uncertainty": self.uncertainty}
        data["recordings"] = {
            name: {
                when: asdict(summary([one for one in self.scores[when] if one.clip == name]))
                for when in (BEFORE, AFTER)
            }
            for name in names
        }
        return Report(settings, tables, [NOTE, *notes], data, Curves({}, "", ""))


def before_and_after(
    before: SAM2,
    after: SAM2,
    clips: Sequence[Clip],
    kind: str = "click",
    on_progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> BeforeAndAfter | None:
    """Track every object of every clip from one prompt, with both weights, and compare with the true masks.

    Args:
        kind: of prompt (`evaluation.prompts.KINDS`), on the first frame on which an object is visible.
        on_progress: called with the share that is done, 0 .. 1.
        cancelled: asked on every frame; if so, the result is None.

    Raises:
        ClipError: all clips are damaged. A damaged one is left out.
    """
    most = max(len(clip.object_ids) for clip in clips)
    trackers = {when: Tracker(model, history=1, max_objects=most) for when, model in ((BEFORE, before), (AFTER, after))}
    scores: dict[str, list[ObjectScore]] = {when: [] for when in trackers}
    pictured = set(np.linspace(0, len(clips) - 1, min(PICTURED, len(clips))).round().astype(int).tolist())
    pictures: list[np.ndarray] = []
    captions: list[str] = []
    skipped: list[ClipError] = []
    for number, clip in enumerate(clips):
        scorers = {when: Scorer(clip) for when in trackers}
        tiles: dict[str, dict[int, np.ndarray]] = {when: {} for when in trackers}
        overlays = {when: Overlay() for when in trackers}
        shown = _shown(clip) if number in pictured else []
        answers = [follow(tracker, clip, [kind]) for tracker in trackers.values()]
        try:
            for index, (truth, *frames) in enumerate(zip(clip.masks, *answers, strict=True)):
                if cancelled():
                    return None
                for when, frame in zip(trackers, frames, strict=True):
                    scorers[when].add(index, truth, frame[kind])
                    if index in shown and truth is not None:
                        drawn = thumbnail(clip.frames[index], frame[kind].masklets, overlays[when], labels=False)
                        tiles[when][index] = outlined(drawn, truth)
                on_progress((number + (index + 1) / len(clip)) / len(clips))
        except ClipError as error:
            skipped.append(error)
            continue
        for when in trackers:
            of_clip = scorers[when].scores()
            scores[when] += of_clip
            pictures += tiles[when].values()
            captions += [f"{clip.name}, {when}, frame {index}: {_quality(of_clip, index)}" for index in tiles[when]]
    if len(skipped) == len(clips):
        raise skipped[-1]
    on_progress(1.0)
    compared = {when: summary(scores[when]).j_and_f for when in trackers}
    title = f"J&F {percent(compared[BEFORE])} before, {percent(compared[AFTER])} after"
    picture = contact_sheet(pictures, captions, title, SUBTITLE, FRAMES) if pictures else np.zeros((1, 1, 3), np.uint8)
    return BeforeAndAfter(scores, picture, skipped)


def _shown(clip: Clip) -> list[int]:
    """The frames that are drawn: evenly spaced over those that are annotated, without the first."""
    annotated = [index for index, masks in enumerate(clip.masks) if masks is not None]
    places = np.linspace(min(1, len(annotated) - 1), len(annotated) - 1, FRAMES).round().astype(int)
    return [annotated[place] for place in dict.fromkeys(places.tolist())]


def _quality(scores: Sequence[ObjectScore], index: int) -> str:
    """J&F of a frame, mean over objects."""
    values = [(frame.j + frame.f) / 2 for one in scores for frame in one.frames if frame.frame == index]
    return percent(float(np.mean(values))) if values else "-"


def _cells(row: Summary) -> list[str]:
    shares = row.j_and_f, row.j, row.f, row.presence_precision, row.presence_recall, row.presence_f1
    return [str(row.objects), str(row.frames), *map(percent, shares), str(row.switches)]
