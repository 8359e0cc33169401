"""The job of `sam2_ros evaluate` for every clip of annotated recordings, and the report of all of them."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sam2_ros.data.clips import ClipError, Clips
from sam2_ros.data.formats import open_clips
from sam2_ros.data.replaced import replacing
from sam2_ros.evaluation.report import Report, Rows
from sam2_ros.evaluation.run import MAX_OBJECTS
from sam2_ros.evaluation.scores import FrameScore, ObjectScore, Scorer
from sam2_ros.evaluation.vos import follow, vos_report
from sam2_ros.fleet.job import Job, Loaded, Model
from sam2_ros.fleet.piece import Outcome, Piece
from sam2_ros.fleet.piece import Report as OnProgress
from sam2_ros.tracking.tracker import Tracker

SCORES = "scores.json"
"""Of one clip, in its folder: a clip that was scored is not scored again by the same command."""

Scores = Mapping[str, Sequence[ObjectScore]]
"""Of the objects of one clip, by kind of prompt."""


@dataclass(frozen=True)
class EvaluationJob(Job):
    """J&F of a model that is prompted once for each object (`evaluation.vos`)."""

    model: Model
    out: Path
    kinds: Sequence[str] = ("click",)
    """Of prompts."""
    images: str | None = None
    masklets: str | None = None
    mask_values: str | None = None
    """See `data.formats.open_clips`."""
    restart: bool = False

    def look(self, name: str, path: Path) -> Sequence[Piece]:
        clips = self._clips(path)
        if not clips:
            raise ClipError(path, "contains no clips")
        return [Piece(clip if clip == name else f"{name}/{clip}", path, 0, clip=clip) for clip in clips.names]

    def work(self, piece: Piece, loaded: Loaded, report: OnProgress) -> Outcome:
        began = time.monotonic()
        clips = self._clips(piece.path)
        clip = clips[clips.names.index(piece.clip)]
        report(0, len(clip))
        file = self.out / piece.name / SCORES
        made_of = [str(piece.path), piece.clip, len(clip), loaded.weights, loaded.model.config.name]
        made_of += [loaded.model.config.image_size, loaded.model.config.aspect, loaded.model.device.type]
        made_of += [self.images, self.masklets, self.mask_values, *self.kinds]
        key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
        if not self.restart and (scores := _read(file, key)) is not None:
            report(len(clip), len(clip))
            return Outcome(piece, "unchanged", "", len(clip.object_ids), 0.0, scores=scores)
        tracker = Tracker(loaded.model, history=1, max_objects=MAX_OBJECTS)
        scorers = {kind: Scorer(clip) for kind in self.kinds}
        for index, (truth, predicted) in enumerate(zip(clip.masks, follow(tracker, clip, self.kinds), strict=True)):
            for kind, frame in predicted.items():
                scorers[kind].add(index, truth, frame)
            report(index + 1, len(clip))
        scores = {kind: scorer.scores() for kind, scorer in scorers.items()}
        _write(file, key, scores)
        return Outcome(piece, "done", "", len(clip.object_ids), time.monotonic() - began, scores=scores)

    def _clips(self, path: Path) -> Clips:
        return open_clips(path, self.images, self.masklets, self.mask_values)

    def report(self, outcomes: Sequence[Outcome], settings: Mapping[str, str]) -> Report:
        """The report of all clips that were scored. Raises ValueError: there is none."""
        scored = [one for one in outcomes if isinstance(one.scores, Mapping)]
        scores: dict[str, list[ObjectScore]] = {kind: [] for kind in self.kinds}
        counts = Counter(one.piece.clip for one in outcomes)
        names = [one.piece.clip if counts[one.piece.clip] == 1 else one.piece.name for one in scored]
        for name, one in zip(names, scored, strict=True):
            assert isinstance(one.scores, Mapping)
            for kind in self.kinds:
                scores[kind] += [replace(score, clip=name) for score in one.scores[kind]]
        if not any(score.frames for kind in self.kinds for score in scores[kind]):
            raise ValueError("nothing was scored")
        failed = [one for one in outcomes if one.scores is None]
        notes = [f"Skipped and not in the scores: {one.piece.name} ({one.reason})." for one in failed]
        skipped = [{"clip": one.piece.name, "file": str(one.piece.path), "problem": one.reason} for one in failed]
        report = vos_report(settings, scores, Rows(names), notes)
        return replace(report, data={**report.data, "skipped": skipped})


def _write(file: Path, key: str, scores: Scores) -> None:
    """Complete, or not at all."""
    content = {"made_of": key, "scores": {kind: [asdict(one) for one in of_kind] for kind, of_kind in scores.items()}}
    with replacing(file) as part:
        part.write_text(json.dumps(content))


def _read(file: Path, key: str) -> Scores | None:
    """The scores of a clip; None: there are none, or those of something else."""
    try:
        content = json.loads(file.read_text())
        if content["made_of"] != key:
            return None
        return {kind: [_object_score(**one) for one in of_kind] for kind, of_kind in content["scores"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _object_score(frames: Sequence[Sequence[Any]], **values: Any) -> ObjectScore:
    return ObjectScore(**values, frames=[FrameScore(*frame) for frame in frames])
