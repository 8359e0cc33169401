"""One run over many clips: a protocol, its progress on the screen, and its pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import Clips
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

Item = TypeVar("Item")


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
    """Evaluates clips, and leaves a picture of each in a folder.

    Args:
        clips: opened one at a time.
        challenges: of the clips, by name; empty: none.
        out: the folder.
        overlays: whether to draw every frame.
    """

    clips: Clips
    challenges: Mapping[str, str]
    out: Path
    overlays: bool
    console: Console

    def vos(self, model: SAM2, kinds: Sequence[str], settings: Mapping[str, str], save_masks: bool) -> Report:
        """Semi-supervised segmentation with one or more kinds of prompts."""
        tracker = Tracker(model, history=1, max_objects=MAX_OBJECTS)
        return self._scored(
            lambda clip: follow(tracker, clip, kinds), kinds, settings, timed=True, save_masks=save_masks
        )

    def masks(self, folder: Path, settings: Mapping[str, str]) -> Report:
        """Masks of any other tracker."""
        name = folder.resolve().name
        return self._scored(lambda clip: ({name: frame} for frame in read_masks(folder, clip)), [name], settings)

    def _scored(
        self, answer: Callable[[Clip], Iterator[Mapping[str, Frame]]], kinds: Sequence[str],
        settings: Mapping[str, str], *, timed: bool = False, save_masks: bool = False,
    ) -> Report:  # fmt: skip
        scores: dict[str, list[ObjectScore]] = {kind: [] for kind in kinds}
        folders = {kind: self.out if len(kinds) == 1 else self.out / kind for kind in kinds}
        frames, seconds = 0, 0.0
        with self._progress() as bar:
            for clip, advance, pictured in self._watched(bar):
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
        notes = []
        if timed:
            together = "objects of a clip" if len(kinds) == 1 else "objects and kinds of prompts of a clip"
            notes = [f"{frames / seconds:.1f} frames/s tracked, all {together} together."]
        return vos_report(settings, scores, Rows(self.clips.names, self.challenges), notes)

    def interactive(self, model: SAM2, mode: str, rounds: int, settings: Mapping[str, str]) -> Report:
        """Interactive segmentation, offline or online."""
        done: dict[str, list[Round]] = {}
        with self._progress() as bar:
            for clip, advance, pictured in self._watched(bar):
                tracker = recording_tracker(model, clip, rounds)
                done[clip.name] = []
                for result in interact(tracker, clip, mode, rounds):
                    done[clip.name].append(result)
                    advance(1 / rounds)
                gallery = Gallery(clip, self.out, self.overlays)
                for index, truth in enumerate(clip.masks):
                    gallery.see(index, truth, tracker.frame_at(stamp(clip, index)).masklets)
                of_rounds = [percent(summary(result.scores).j_and_f) for result in done[clip.name]]
                if pictured:
                    captions = _captions(done[clip.name][-1].scores)
                    for frame, numbers in _annotated(done[clip.name]).items():
                        words = f"annotated in round {', '.join(map(str, sorted(numbers)))}"
                        captions[frame] = f"{captions.get(frame, '')}    {words}".lstrip()
                    gallery.hang(f"J&F {of_rounds[-1]}", f"{mode}, annotated frames: {len(of_rounds)}.", captions)
                self._say(clip, f"J&F {' '.join(of_rounds)}")
        rows = Rows(self.clips.names, self.challenges)
        return interactive_report(settings, done, rows, rounds)

    def image(self, model: SAM2, every: int, settings: Mapping[str, str]) -> Report:
        """Single images with 1 .. CLICKS clicks."""
        predictor = ImagePredictor(model)
        scores: dict[str, dict[tuple[int, int], ImageScore]] = {}
        with self._progress() as bar:
            for clip, advance, pictured in self._watched(bar):
                scores[clip.name] = {}
                gallery = ClickedGallery(clip, self.out, self.overlays)
                for objects in segment(predictor, clip, every):
                    scores[clip.name] |= {(one.frame, one.object_id): one.score for one in objects}
                    gallery.see(objects)
                    advance(every / len(clip))
                if pictured:
                    gallery.hang()
                if values := scores[clip.name].values():
                    first, last = (np.mean([score.clicks[n] for score in values]) for n in (0, -1))
                    self._say(clip, f"mIoU {percent(first)} after 1 click, {percent(last)} after {CLICKS}")
        return image_report(settings, scores, Rows(self.clips.names, self.challenges))

    def _watched(self, bar: Progress) -> Iterator[tuple[Clip, Callable[[float], None], bool]]:
        """The clips, each with a function that tells the progress bar how far it is, and whether to draw it."""
        total = bar.add_task("clips", total=len(self.clips))
        for number, clip in enumerate(self.clips):
            task = bar.add_task(clip.name, total=1.0)
            yield clip, _advance(bar, task), number < LISTED
            bar.remove_task(task)
            bar.advance(total)

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description:<20}"), BarColumn(40), TextColumn("{task.percentage:3.0f} %"))
        return Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True)

    def _say(self, clip: Clip, words: str) -> None:
        if len(self.clips.names) <= LISTED:
            self.console.print(f"{clip.name:<20} {words}", highlight=False)


def _advance(bar: Progress, task: TaskID) -> Callable[[float], None]:
    return lambda part: bar.advance(task, part)


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
