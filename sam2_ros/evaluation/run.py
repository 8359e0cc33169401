"""One run over many clips: a protocol, its progress on the screen, and its pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sam2_ros.acceleration import Network, accelerated
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips
from sam2_ros.evaluation.gallery import ClickedGallery, Gallery
from sam2_ros.evaluation.image import CLICKS, ImageScore, image_report, segment
from sam2_ros.evaluation.interactive import Round, interact, interactive_report, recording_tracker
from sam2_ros.evaluation.mask_folder import read_masks, write_masks
from sam2_ros.evaluation.report import LISTED, Report, Rows, percent
from sam2_ros.evaluation.scores import ObjectScore, Scorer, summary
from sam2_ros.evaluation.vos import follow, stamp, vos_report
from sam2_ros.model.sam2 import SAM2
from sam2_ros.tracking.image_predictor import ImagePredictor
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.tracker import Tracker

MAX_OBJECTS = 1024  # in one clip, all kinds of prompts together
TOO_SHORT = (
    "no object is visible on an annotated frame that two others follow, as the prompted frame and the last one don't"
    " count (--protocol image scores single frames)"
)
UNSEEN = "no object is visible on any of the frames that were looked at"

Item = TypeVar("Item")
Advance = Callable[[float], None]
"""Tells a progress bar that so much more of a clip is done, 0 .. 1."""


class Stopwatch(Iterator[Item]):
    """Passes items on, and sums up how long they took to come."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self.seconds = 0.0

    def __next__(self) -> Item:
        start = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - start


@dataclass
class Run:
    """Evaluates clips, and leaves a picture of each in a folder. A damaged clip is skipped, which the report says.

    Args:
        clips: opened one at a time.
        challenges: of the clips, by name; empty: none.
        out: the folder.
        overlays: whether to draw every frame.
        strict: a damaged clip is an error instead.
    """

    clips: Clips
    challenges: Mapping[str, str]
    out: Path
    overlays: bool
    console: Console
    strict: bool = False
    skipped: dict[str, ClipError] = field(default_factory=dict)
    """Why, by name of the clip."""

    def vos(
        self,
        model: SAM2 | Network,
        kinds: Sequence[str],
        settings: Mapping[str, str],
        save_masks: bool,
        non_overlap: bool,
    ) -> Report:
        """Semi-supervised segmentation with one or more kinds of prompts."""
        # All kinds side by side encode each image once; but objects of one kind must not take pixels from another's.
        groups = [[kind] for kind in kinds] if non_overlap else [kinds]
        trackers = [Tracker(model, history=1, max_objects=MAX_OBJECTS, non_overlap_masks=non_overlap) for _ in groups]

        def answers(clip: Clip) -> Iterator[Mapping[str, Frame]]:
            followed = [follow(tracker, clip, group) for tracker, group in zip(trackers, groups, strict=True)]
            for said in zip(*followed, strict=True):
                yield {kind: frame for of_group in said for kind, frame in of_group.items()}

        return self._scored(answers, kinds, settings, timed=True, save_masks=save_masks)

    def masks(self, folder: Path, settings: Mapping[str, str], mask_values: str | None = None) -> Report:
        """Masks of any other tracker; see `read_masks`."""
        name = folder.resolve().name

        def answers(clip: Clip) -> Iterator[Mapping[str, Frame]]:
            try:
                for frame in read_masks(folder, clip, mask_values):
                    yield {name: frame}
            except ClipError as error:  # of the answers, not of the data set: to skip these would flatter them
                raise ValueError(str(error)) from error

        return self._scored(answers, [name], settings)

    def _scored(
        self, answer: Callable[[Clip], Iterator[Mapping[str, Frame]]], kinds: Sequence[str],
        settings: Mapping[str, str], *, timed: bool = False, save_masks: bool = False,
    ) -> Report:  # fmt: skip
        scores: dict[str, list[ObjectScore]] = {kind: [] for kind in kinds}
        folders = {kind: self.out if len(kinds) == 1 else self.out / kind for kind in kinds}
        frames, seconds = 0, 0.0

        def score(clip: Clip, advance: Advance, pictured: bool) -> None:
            nonlocal frames, seconds
            scorers = {kind: Scorer(clip) for kind in kinds}
            galleries = {kind: Gallery(clip, folders[kind], self.overlays) for kind in kinds}
            answers = Stopwatch(answer(clip))
            for index, (truth, said) in enumerate(zip(clip.masks, answers, strict=True)):
                for kind, frame in said.items():
                    scorers[kind].see(index, truth, frame)
                    galleries[kind].see(index, truth, frame.masklets)
                    if save_masks:
                        write_masks(folders[kind] / "masks", clip, index, frame)
                advance(1 / len(clip))
            words = "J&F"
            for kind in kinds:
                of_clip = scorers[kind].scores()
                scores[kind] += of_clip
                quality = percent(summary(of_clip).j_and_f)
                if pictured:
                    what = f"prompt: {kind}." if timed else f"{kind}."
                    galleries[kind].hang(f"J&F {quality}", what, _captions(of_clip))
                words += f" {quality:>5}" if len(kinds) == 1 else f"  {kind} {quality:>5}"
            frames, seconds = frames + len(clip), seconds + answers.seconds
            self._say(clip, f"{words} {len(clip) / answers.seconds:8.1f} frames/s" if timed else words)

        rows = self._each(score)
        notes = []
        if timed:
            together = "objects of a clip" if len(kinds) == 1 else "objects and kinds of prompts of a clip"
            notes = [f"{frames / seconds:.1f} frames/s tracked, all {together} together."]
        scored = sum(bool(one.frames) for of_kind in scores.values() for one in of_kind)
        return self._complete(vos_report(settings, scores, rows, notes), scored, TOO_SHORT)

    def interactive(self, model: SAM2 | Network, mode: str, rounds: int, settings: Mapping[str, str]) -> Report:
        """Interactive segmentation, offline or online."""
        network = accelerated(model)
        done: dict[str, list[Round]] = {}

        def score(clip: Clip, advance: Advance, pictured: bool) -> None:
            tracker = recording_tracker(network, clip, rounds)
            results = []
            for result in interact(tracker, clip, mode, rounds):
                results.append(result)
                advance(1 / rounds)
            gallery = Gallery(clip, self.out, self.overlays)
            for index, truth in enumerate(clip.masks):
                gallery.see(index, truth, tracker.frame_at(stamp(clip, index)).masklets)
            of_rounds = [percent(summary(result.scores).j_and_f) for result in results]
            if pictured:
                captions = _captions(results[-1].scores)
                for frame, numbers in _annotated(results).items():
                    words = f"annotated in round {', '.join(map(str, sorted(numbers)))}"
                    captions[frame] = f"{captions.get(frame, '')}    {words}".lstrip()
                gallery.hang(f"J&F {of_rounds[-1]}", f"{mode}, annotated frames: {len(of_rounds)}.", captions)
            done[clip.name] = results
            self._say(clip, f"J&F {' '.join(of_rounds)}")

        rows = self._each(score)
        scored = sum(bool(one.frames) for results in done.values() for one in results[0].scores)
        return self._complete(interactive_report(settings, done, rows, rounds), scored, TOO_SHORT)

    def image(self, model: SAM2 | Network, every: int, settings: Mapping[str, str]) -> Report:
        """Single images with 1 .. CLICKS clicks."""
        predictor = ImagePredictor(model)
        scores: dict[str, dict[tuple[int, int], ImageScore]] = {}

        def score(clip: Clip, advance: Advance, pictured: bool) -> None:
            of_clip: dict[tuple[int, int], ImageScore] = {}
            gallery = ClickedGallery(clip, self.out, self.overlays)
            for objects in segment(predictor, clip, every):
                of_clip |= {(one.frame, one.object_id): one.score for one in objects}
                gallery.see(objects)
                advance(every / len(clip))
            if pictured:
                gallery.hang()
            scores[clip.name] = of_clip
            if of_clip:
                first, last = (float(np.mean([score.clicks[n] for score in of_clip.values()])) for n in (0, -1))
                self._say(clip, f"mIoU {percent(first)} after 1 click, {percent(last)} after {CLICKS}")

        rows = self._each(score)
        return self._complete(image_report(settings, scores, rows), sum(map(len, scores.values())), UNSEEN)

    def _each(self, score: Callable[[Clip, Advance, bool], None]) -> Rows:
        """Scores each clip that is not damaged, and gives their rows.

        Args:
            score: of a clip; its other arguments tell the progress bar how far it is, and whether to draw the clip.

        Raises:
            ClipError: a clip is damaged, and `strict`.
            ValueError: all are.
        """
        name_column = TextColumn("{task.description:<20}", markup=False)
        columns = (name_column, BarColumn(40), TextColumn("{task.percentage:3.0f} %"))
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as bar:
            total = bar.add_task("clips", total=len(self.clips))
            for number, name in enumerate(self.clips.names):
                task = bar.add_task(name, total=1.0)
                try:
                    score(self.clips[number], partial(bar.advance, task), number < LISTED)
                except ClipError as error:
                    if self.strict:
                        raise
                    self.skipped[name] = error
                    self.console.print(f"{name:<20} skipped: {error}", highlight=False, markup=False, soft_wrap=True)
                bar.remove_task(task)
                bar.advance(total)
        scored = [name for name in self.clips.names if name not in self.skipped]
        if not scored:
            raise ValueError(f"no clip can be scored; the last: {list(self.skipped.values())[-1]}")
        return Rows(scored, self.challenges)

    def _complete(self, report: Report, scored: int, reason: str) -> Report:
        """With what was skipped.

        Args:
            scored: how many objects were, or masks.
            reason: what it means if this is 0.

        Raises:
            ValueError: it is 0.
        """
        if not scored:
            raise ValueError(f"nothing was scored (clips: {len(self.clips)}): {reason}")
        skipped = [
            {"clip": name, "file": str(error.file), "frame": error.frame, "problem": error.problem}
            for name, error in self.skipped.items()
        ]
        notes = [f"Skipped, and not in these numbers: {name} ({error})." for name, error in self.skipped.items()]
        return replace(report, notes=[*report.notes, *notes], data={**report.data, "skipped": skipped})

    def _say(self, clip: Clip, words: str) -> None:
        if len(self.clips.names) <= LISTED:
            self.console.print(f"{clip.name:<20} {words}", highlight=False, markup=False)


def _annotated(done: Sequence[Round]) -> dict[int, set[int]]:
    """In which rounds each frame was annotated, for any object."""
    frames: dict[int, set[int]] = {}
    for number, result in enumerate(done, 1):
        for one in result.annotations.values():
            frames.setdefault(one.frame, set()).add(number)
    return frames


def _captions(scores: Sequence[ObjectScore]) -> dict[int, str]:
    """J&F of each frame, mean over objects."""
    quality: dict[int, list[float]] = {}
    for one in scores:
        for frame in one.frames:
            quality.setdefault(frame.frame, []).append((frame.j + frame.f) / 2)
    return {index: f"J&F {100 * np.mean(values):.0f}" for index, values in quality.items()}
