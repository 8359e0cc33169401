"""A run of a protocol over many clips, with its progress and pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sam2_ros.acceleration import Network, accelerated
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips
from sam2_ros.evaluation.everything import SearchScore, everything_report, search
from sam2_ros.evaluation.gallery import ClickedGallery, Gallery, SearchedGallery
from sam2_ros.evaluation.image import CLICKS, ImageScore, image_report, segment
from sam2_ros.evaluation.interactive import Round, interact, interactive_report, recording_tracker
from sam2_ros.evaluation.mask_folder import read_masks, write_masks
from sam2_ros.evaluation.masklets import MaskletScore, masklets_report, score_masklets
from sam2_ros.evaluation.report import MAX_LISTED_CLIPS, Report, Rows, mean, percent
from sam2_ros.evaluation.scores import ObjectScore, Scorer, summary
from sam2_ros.evaluation.vos import follow, stamp, vos_report
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.clip_recording import ClipRecording
from sam2_ros.recordings.everything import track_everything
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.tracking.automatic_masks import AutomaticMaskGenerator, EverythingSettings
from sam2_ros.tracking.image_predictor import ImagePredictor
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.tracker import Tracker

MAX_OBJECTS = 1024
"""Maximum number of objects tracked in one clip, over all kinds of prompts."""
MAX_FOLLOWED = 32
"""Automatic masklets that are followed at once."""
TOO_SHORT = (
    "no object is visible on an annotated frame with two more after it; the prompted frame and the last one don't count"
    " (--protocol image scores single frames)"
)
NONE_VISIBLE = "no object is visible on any selected frame"

Item = TypeVar("Item")
Advance = Callable[[float], None]
"""Function that advances a progress bar by a share of a clip, 0 .. 1."""


class Stopwatch(Iterator[Item]):
    """Iterates, and sums up the seconds spent on items."""

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
    """Evaluates clips, and writes a picture of each. Damaged clips are skipped and listed in the report.

    Args:
        clips: opened one at a time.
        challenges: challenge of each clip by name; empty: none.
        out: folder of the pictures.
        overlays: draw every frame.
        console: shows progress and one line for each clip.
        strict: raise an error for a damaged clip instead of skipping it.
    """

    clips: Clips
    challenges: Mapping[str, str]
    out: Path
    overlays: bool
    console: Console
    strict: bool = False
    skipped: dict[str, ClipError] = field(default_factory=dict)
    """Errors by name of the clip."""

    def vos(
        self,
        model: SAM2 | Network,
        kinds: Sequence[str],
        settings: Mapping[str, str],
        save_masks: bool,
        non_overlap: bool,
    ) -> Report:
        """Semi-supervised segmentation with one or more kinds of prompts."""
        # Kinds in one tracker share encoded images; but without overlap, one kind would take pixels from another.
        groups = [[kind] for kind in kinds] if non_overlap else [kinds]
        trackers = [Tracker(model, history=1, max_objects=MAX_OBJECTS, non_overlap_masks=non_overlap) for _ in groups]

        def answers(clip: Clip) -> Iterator[Mapping[str, Frame]]:
            followed = [follow(tracker, clip, group) for tracker, group in zip(trackers, groups, strict=True)]
            for frames in zip(*followed, strict=True):
                yield {kind: frame for by_kind in frames for kind, frame in by_kind.items()}

        return self._scored(answers, kinds, settings, timed=True, save_masks=save_masks)

    def masks(self, folder: Path, settings: Mapping[str, str], mask_values: str | None = None) -> Report:
        """Scores of another tracker's masks; see `read_masks`."""
        name = folder.resolve().name

        def answers(clip: Clip) -> Iterator[Mapping[str, Frame]]:
            try:
                for frame in read_masks(folder, clip, mask_values):
                    yield {name: frame}
            except ClipError as error:  # of the predictions, not of the data set: skipping would improve the score
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
            for index, (truth, predicted) in enumerate(zip(clip.masks, answers, strict=True)):
                for kind, frame in predicted.items():
                    scorers[kind].add(index, truth, frame)
                    galleries[kind].add(index, truth, frame.masklets)
                    if save_masks:
                        write_masks(folders[kind] / "masks", clip, index, frame)
                advance(1 / len(clip))
            words = "J&F"
            for kind in kinds:
                clip_scores = scorers[kind].scores()
                scores[kind] += clip_scores
                quality = percent(summary(clip_scores).j_and_f)
                if pictured:
                    subtitle = f"prompt: {kind}." if timed else f"{kind}."
                    galleries[kind].save(f"J&F {quality}", subtitle, _captions(clip_scores))
                words += f" {quality:>5}" if len(kinds) == 1 else f"  {kind} {quality:>5}"
            frames, seconds = frames + len(clip), seconds + answers.seconds
            self._say(clip, f"{words} {len(clip) / answers.seconds:8.1f} frames/s" if timed else words)

        rows = self._each(score)
        notes = []
        if timed:
            together = "objects of a clip" if len(kinds) == 1 else "objects and kinds of prompts of a clip"
            notes = [f"{frames / seconds:.1f} frames/s tracked, all {together} together."]
        scored = sum(bool(object_score.frames) for kind_scores in scores.values() for object_score in kind_scores)
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
                gallery.add(index, truth, tracker.frame_at(stamp(clip, index)).masklets)
            qualities = [percent(summary(result.scores).j_and_f) for result in results]
            if pictured:
                captions = _captions(results[-1].scores)
                for frame, numbers in _annotated(results).items():
                    words = f"annotated in round {', '.join(map(str, sorted(numbers)))}"
                    captions[frame] = f"{captions.get(frame, '')}    {words}".lstrip()
                gallery.save(f"J&F {qualities[-1]}", f"{mode}, annotated frames: {len(qualities)}.", captions)
            done[clip.name] = results
            self._say(clip, f"J&F {' '.join(qualities)}")

        rows = self._each(score)
        scored = sum(bool(one.frames) for results in done.values() for one in results[0].scores)
        return self._complete(interactive_report(settings, done, rows, rounds), scored, TOO_SHORT)

    def image(self, model: SAM2 | Network, every: int, settings: Mapping[str, str]) -> Report:
        """Single images with 1 .. CLICKS clicks."""
        predictor = ImagePredictor(model)
        scores: dict[str, dict[tuple[int, int], ImageScore]] = {}

        def score(clip: Clip, advance: Advance, pictured: bool) -> None:
            clip_scores: dict[tuple[int, int], ImageScore] = {}
            gallery = ClickedGallery(clip, self.out, self.overlays)
            for objects in segment(predictor, clip, every):
                clip_scores |= {(one.frame, one.object_id): one.score for one in objects}
                gallery.add(objects)
                advance(every / len(clip))
            if pictured:
                gallery.save()
            scores[clip.name] = clip_scores
            if clip_scores:
                first, last = (float(np.mean([score.clicks[n] for score in clip_scores.values()])) for n in (0, -1))
                self._say(clip, f"mIoU {percent(first)} after 1 click, {percent(last)} after {CLICKS}")

        rows = self._each(score)
        return self._complete(image_report(settings, scores, rows), sum(map(len, scores.values())), NONE_VISIBLE)

    def everything(self, model: SAM2 | Network, every: int, settings: Mapping[str, str]) -> Report:
        """Automatic masks of single images, with the settings that suit the model."""
        suited = EverythingSettings.suited_to(model.config)
        generator = AutomaticMaskGenerator(model, suited)
        scores: dict[str, dict[int, SearchScore]] = {}

        def score(clip: Clip, advance: Advance, pictured: bool) -> None:
            clip_scores: dict[int, SearchScore] = {}
            gallery = SearchedGallery(clip, self.out, self.overlays)
            for searched in search(generator, clip, every):
                clip_scores[searched.frame] = searched.score
                gallery.add(searched)
                advance(every / len(clip))
            if pictured:
                gallery.save()
            scores[clip.name] = clip_scores
            if clip_scores:
                done = clip_scores.values()
                found, objects = sum(one.found for one in done), sum(len(one.object_ids) for one in done)
                false = mean(one.false for one in done)
                self._say(clip, f"found {found} of {objects}, {false:.1f} false masks an image")

        rows = self._each(score)
        report = everything_report({**settings, **_changed(suited)}, scores, rows)
        return self._complete(report, sum(map(len, scores.values())), NONE_VISIBLE)

    def masklets(self, model: SAM2 | Network, settings: Mapping[str, str]) -> Report:
        """Automatic masklets of clips, with the settings that suit the model."""
        tracker = Tracker(model, history=1, max_objects=MAX_FOLLOWED)
        scores: dict[str, MaskletScore] = {}

        def score(clip: Clip, advance: Advance, pictured: bool) -> None:
            with TemporaryDirectory() as folder, MaskletStore(Path(folder) / "masklets.db", {}) as store:
                start = time.perf_counter()
                track_everything(ClipRecording(clip), tracker, store)
                seconds = time.perf_counter() - start
                advance(0.95)
                labels = store.labels
                gallery = Gallery(clip, self.out, self.overlays)

                def frames() -> Iterator[Frame]:
                    for index, (stored, truth) in enumerate(zip(store.frames(), clip.masks, strict=True)):
                        frame = Frame(stored.stamp, stored.height, stored.width, stored.masklets(labels))
                        gallery.add(index, truth, frame.masklets)
                        yield frame

                result = score_masklets(clip, list(labels), frames(), len(store.rejected), seconds)
            scores[clip.name] = result
            words = (
                f"{result.followed()} of {result.iou.shape[1]} objects followed, {len(labels)} masklets,"
                f" {result.rejected} rejected"
            )
            if pictured:
                gallery.save(words, f"automatic masklets, {seconds:.1f} s.", {})
            self._say(clip, words)

        rows = self._each(score)
        scored = sum(score.iou.shape[1] for score in scores.values())
        changed = _changed(EverythingSettings.suited_to(model.config))
        return self._complete(masklets_report({**settings, **changed}, scores, rows), scored, NONE_VISIBLE)

    def _each(self, score: Callable[[Clip, Advance, bool], None]) -> Rows:
        """Score each clip that is not damaged, and return their rows.

        Args:
            score: scores a clip; its other arguments advance the progress bar, and say whether to draw the clip.

        Raises:
            ClipError: a clip is damaged, if `strict`.
            ValueError: all clips are damaged.
        """
        name_column = TextColumn("{task.description:<20}", markup=False)
        columns = (name_column, BarColumn(40), TextColumn("{task.percentage:3.0f} %"))
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as bar:
            total = bar.add_task("clips", total=len(self.clips))
            for number, name in enumerate(self.clips.names):
                task = bar.add_task(name, total=1.0)
                try:
                    score(self.clips[number], partial(bar.advance, task), number < MAX_LISTED_CLIPS)
                except ClipError as error:
                    if self.strict:
                        raise
                    self.skipped[name] = error
                    self.console.print(f"{name:<20} skipped: {error}", highlight=False, markup=False, soft_wrap=True)
                bar.remove_task(task)
                bar.advance(total)
        scored = [name for name in self.clips.names if name not in self.skipped]
        if not scored:
            raise ValueError(f"no clip can be scored; the last error: {list(self.skipped.values())[-1]}")
        return Rows(scored, self.challenges)

    def _complete(self, report: Report, scored: int, reason: str) -> Report:
        """Add the skipped clips to a report.

        Args:
            report: the report.
            scored: number of scored objects or masks.
            reason: explanation if that is 0.

        Raises:
            ValueError: nothing was scored.
        """
        if not scored:
            raise ValueError(f"nothing was scored ({len(self.clips)} clips): {reason}")
        skipped = [
            {"clip": name, "file": str(error.file), "frame": error.frame, "problem": error.problem}
            for name, error in self.skipped.items()
        ]
        notes = [f"Skipped and not in the scores: {name} ({error})." for name, error in self.skipped.items()]
        return replace(report, notes=[*report.notes, *notes], data={**report.data, "skipped": skipped})

    def _say(self, clip: Clip, words: str) -> None:
        if len(self.clips.names) <= MAX_LISTED_CLIPS:
            self.console.print(f"{clip.name:<20} {words}", highlight=False, markup=False)


def _changed(settings: EverythingSettings) -> dict[str, str]:
    """What differs from Meta's defaults, so that numbers can be repeated."""
    defaults = asdict(EverythingSettings())
    return {name: str(value) for name, value in asdict(settings).items() if value != defaults[name]}


def _annotated(done: Sequence[Round]) -> dict[int, set[int]]:
    """The rounds in which each frame was annotated, for any object."""
    frames: dict[int, set[int]] = {}
    for number, result in enumerate(done, 1):
        for annotation in result.annotations.values():
            frames.setdefault(annotation.frame, set()).add(number)
    return frames


def _captions(scores: Sequence[ObjectScore]) -> dict[int, str]:
    """J&F of each frame, mean over objects."""
    quality: dict[int, list[float]] = {}
    for one in scores:
        for frame in one.frames:
            quality.setdefault(frame.frame, []).append((frame.j + frame.f) / 2)
    return {index: f"J&F {100 * np.mean(values):.0f}" for index, values in quality.items()}
