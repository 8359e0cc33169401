"""Scores of tracked objects: mask quality, presence, and ID switches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.region_boundary import boundary_accuracy, region_similarity
from sam2_ros.tracking.masklet import Frame

FOLLOWED_IOU = 0.5
"""Minimum IoU of a mask with the true object that it follows."""


class FrameScore(NamedTuple):
    """One object on one frame."""

    frame: int
    """Index of the frame in its clip."""
    j: float
    f: float
    visible: bool
    """Whether the object is visible."""
    present: bool
    """Whether it is predicted to be visible."""
    following: int | None
    """ID of the true object that the mask follows; None: none."""


@dataclass
class ObjectScore:
    """One object of one clip, on the frames that count (see `Scorer`)."""

    clip: str
    object_id: int
    start: int | None = None
    """Index of the frame on which the object was prompted; None: never."""
    frames: list[FrameScore] = field(default_factory=list)

    @property
    def j(self) -> float:
        """Mean over frames, 0 .. 1; NaN where no frame counts."""
        return float(np.mean([frame.j for frame in self.frames])) if self.frames else float("nan")

    @property
    def f(self) -> float:
        """Mean over frames, 0 .. 1; NaN where no frame counts."""
        return float(np.mean([frame.f for frame in self.frames])) if self.frames else float("nan")

    @property
    def j_and_f(self) -> float:
        """Mean of J and F, 0 .. 1; NaN where no frame counts."""
        return (self.j + self.f) / 2

    @property
    def switches(self) -> int:
        """Number of times the mask switched to another object, or back to its own."""
        followed = [self.object_id, *(frame.following for frame in self.frames if frame.following is not None)]
        return sum(before != after for before, after in pairwise(followed))


@dataclass(frozen=True)
class Summary:
    """Scores of many objects, 0 .. 1. Undefined means are NaN."""

    objects: int
    frames: int
    """Scored frames, summed over objects."""
    j_and_f: float
    j: float
    """Mean over objects of their means over frames, as in DAVIS 2017."""
    f: float
    presence_precision: float
    """Share of frames on which an object is visible, of those on which it is predicted to be."""
    presence_recall: float
    """Share of frames on which an object is predicted to be visible, of those on which it is."""
    presence_f1: float
    switches: int


class Scorer:
    """Compares predictions for a clip with the truth, frame by frame.

    An object is scored on the annotated frames after the one on which it was prompted, without the clip's last
    annotated frame, as by the DAVIS and SA-V tools for objects that are visible from the first frame on. Objects
    without a masklet count as absent; frames on which an object's mask is unknown don't count.

    Args:
        clip: has the true masks.
        prompted: index of the frame on which each object was prompted, by ID; other objects are not scored. None: the
            first frame on which each is visible.
    """

    def __init__(self, clip: Clip, prompted: Mapping[int, int] | None = None) -> None:
        self._find_start = prompted is None
        self._known = clip.known
        start = prompted or {}
        self._scores = [ObjectScore(clip.name, object_id, start.get(object_id)) for object_id in clip.object_ids]
        self._last = -1

    def add(self, index: int, truth: np.ndarray | None, frame: Frame) -> None:
        """Score the next frame: its true masks, bool [N, H, W] or None, and the predicted ones with the clip's IDs.

        Raises ValueError for masks of another size.
        """
        if truth is None:
            return
        self._last = index
        for row, one in enumerate(self._scores):
            if self._find_start and one.start is None and truth[row].any():
                one.start = index
            if one.start is None or index <= one.start:
                continue
            if self._known is not None and not self._known[index, row]:
                continue
            masklet = frame.masklet(one.object_id)
            mask = np.zeros_like(truth[row]) if masklet is None else masklet.mask
            j = region_similarity(mask, truth[row])
            one.frames.append(
                FrameScore(
                    frame=index,
                    j=j,
                    f=boundary_accuracy(mask, truth[row]),
                    visible=bool(truth[row].any()),
                    present=masklet is not None and masklet.present,
                    following=self._following(mask, truth, row, j),
                )
            )

    def scores(self) -> list[ObjectScore]:
        """Scores, after all frames were added."""
        for object_score in self._scores:
            if object_score.frames and object_score.frames[-1].frame == self._last:
                object_score.frames.pop()
        return self._scores

    def _following(self, mask: np.ndarray, truth: np.ndarray, own: int, j: float) -> int | None:
        if not mask.any():
            return None
        if j >= FOLLOWED_IOU:
            return self._scores[own].object_id
        overlaps = [0.0 if row == own else region_similarity(mask, other) for row, other in enumerate(truth)]
        best = int(np.argmax(overlaps))
        return self._scores[best].object_id if overlaps[best] >= FOLLOWED_IOU else None


def score(clip: Clip, frames: Iterable[Frame], prompted: Mapping[int, int] | None = None) -> list[ObjectScore]:
    """Compare predictions for all T frames of a clip with the truth; see `Scorer`.

    Raises:
        ValueError: the number of predictions is not T, or their size differs.
    """
    scorer = Scorer(clip, prompted)
    for index, (frame, truth) in enumerate(zip(frames, clip.masks, strict=True)):
        scorer.add(index, truth, frame)
    return scorer.scores()


def summary(scores: Sequence[ObjectScore]) -> Summary:
    """Scores of several objects as one row of a table; objects without a scored frame are left out."""
    scores = [score for score in scores if score.frames]
    frames = [frame for score in scores for frame in score.frames]
    both = sum(frame.visible and frame.present for frame in frames)
    visible, present = (sum(getattr(frame, name) for frame in frames) for name in ("visible", "present"))
    j = float(np.mean([score.j for score in scores])) if scores else float("nan")
    f = float(np.mean([score.f for score in scores])) if scores else float("nan")
    return Summary(
        objects=len(scores),
        frames=len(frames),
        j_and_f=(j + f) / 2,
        j=j,
        f=f,
        presence_precision=both / present if present else float("nan"),
        presence_recall=both / visible if visible else float("nan"),
        presence_f1=2 * both / (visible + present) if visible + present else float("nan"),
        switches=sum(score.switches for score in scores),
    )
