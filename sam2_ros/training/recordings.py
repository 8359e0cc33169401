"""Training samples from clips on a disk: data sets, recordings of a robot."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset, Sampler

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.training.augmentation import Augmentation
from sam2_ros.training.recipe import Stage
from sam2_ros.training.samples import Batch, excerpt, sample

MAX_OPEN = 16
"""Maximum number of clips that a process keeps open."""

MAX_TRIES = 5
"""Number of attempts at each clip before training fails: only a frame or two may be damaged."""


@dataclass(frozen=True, eq=False)
class Annotated:
    """The annotation of a clip: visibility of its objects on the annotated frames."""

    frames: np.ndarray
    """Indices of the T annotated frames. Others may show anything and are not used."""
    visible: np.ndarray
    """Whether each object is visible enough to be prompted, on each of these frames: bool [T, N]."""
    known: np.ndarray
    """Whether the mask of each object is known, on each of these frames: bool [T, N]."""

    @classmethod
    def of(cls, clip: Clip, min_area: float = 0.0, max_area: float = 1.0) -> Annotated:
        """Decode all masks of a clip once. Raises ClipError if none can be used.

        Args:
            min_area, max_area: as in `Stage`.
        """
        frames, area = [], []
        for index, masks in enumerate(clip.masks):
            if masks is not None:
                frames.append(index)
                area.append(masks.mean(axis=(1, 2)))
        areas = np.array(area).reshape(len(frames), len(clip.object_ids))
        areas[areas > max_area] = 0
        visible = (areas > 0) & (areas >= min_area)
        if not visible.any():
            visible = areas > 0
        if not visible.any():
            raise ClipError(clip.name, "no frame has a mask that can be used for training")
        known = np.ones_like(visible) if clip.known is None else clip.known[frames]
        return cls(np.array(frames), visible, known)

    def resized(
        self, clip: Clip, chosen: Sequence[int], shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Read annotated frames and masks at the input size, resized as the tracker does.

        Args:
            clip: the annotated one.
            chosen: indices into `frames`.
            shape: height and width to resize to, pixels.

        Returns:
            Frames uint8 [T, *shape, 3], masks bool [T, N, *shape] of the objects that are known on all of them, and the
            factor by which resizing made them narrower (`augmentation.moved`).

        Raises:
            ClipError: a frame is damaged.
        """
        known = self.known[chosen].all(axis=0)
        frames, masks = [], []
        for index in self.frames[chosen].tolist():
            image, truth = clip.frames[index], clip.masks[index]
            assert truth is not None
            squeezed = image.shape[1] / image.shape[0] * shape[0] / shape[1]
            frames.append(_resized(np.ascontiguousarray(image.transpose(2, 0, 1)), shape).transpose(1, 2, 0))
            masks.append(_resized(truth[known].view(np.uint8) * np.uint8(255), shape) > 127)
        return np.stack(frames), np.stack(masks), squeezed


def _resized(planes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """uint8 [C, H, W] -> uint8 [C, *shape]: bilinear with antialiasing, as in `tracking.pixels`."""
    resized = F.interpolate(torch.from_numpy(planes)[None], shape, mode="bilinear", antialias=True)
    return resized[0].numpy()


class ClipSamples(Dataset[Batch]):
    """Samples of clips of any size. An index is a clip's position and the number of times it was used before.

    A damaged clip, or one with fewer annotated frames than a sample has, is skipped with a warning and replaced by
    another at random, which depends on the index alone. Each process opens its own clips: forked ones would share file
    positions.

    Args:
        clips: opened one at a time.
        stage: settings of the samples.
        shape: height and width of their images, pixels.
        changes: augmentation of the samples.
    """

    def __init__(self, clips: Sequence[Clip], stage: Stage, shape: tuple[int, int], changes: Augmentation) -> None:
        self.clips = clips
        self.stage = stage
        self.shape = shape
        self.changes = changes
        self.bad: dict[int, ClipError] = {}
        """Unusable clips that this process has found, by position."""
        self._annotated: dict[int, Annotated] = {}
        self._open: dict[int, dict[int, Clip]] = {}  # by process and position, least recently used first

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def __getitem__(self, index: tuple[int, int]) -> Batch:
        error: ClipError | None = None
        for attempt, number in enumerate(self._candidates(index)):
            if number in self.bad:
                continue
            try:
                clip, annotated = self._opened(number)
            except ClipError as problem:
                self.bad[number] = error = problem
                warnings.warn(f"skipped: {problem} ({len(self.bad)} of {len(self.clips)} clips so far)", stacklevel=2)
                continue
            try:
                return self._sample(clip, annotated, np.random.default_rng((*index, attempt)))
            except ClipError as problem:  # other frames of this clip may be intact
                error = problem
                warnings.warn(f"skipped: {problem}", stacklevel=2)
        error = error or next(reversed(self.bad.values()))
        raise ValueError(f"none of {len(self.clips)} clips can be used for training; the last: {error}")

    def _candidates(self, index: tuple[int, int]) -> Iterator[int]:
        yield index[0]
        rng = np.random.default_rng(index)
        for _ in range(MAX_TRIES):
            yield from rng.permutation(len(self.clips)).tolist()

    def _opened(self, number: int) -> tuple[Clip, Annotated]:
        """A clip and its annotation. Raises ClipError if it cannot be used."""
        opened = self._open.setdefault(os.getpid(), {})
        clip = opened.pop(number, None) or self.clips[number]
        if number not in self._annotated:
            annotated = Annotated.of(clip, self.stage.min_area, self.stage.max_area)
            least = self.stage.frames
            if len(annotated.frames) < least:
                problem = f"has {len(annotated.frames)} annotated frames, a training clip takes {least} (see --frames)"
                raise ClipError(clip.name, problem)
            try:
                excerpt(annotated.visible, least, 1, np.random.default_rng(0), annotated.known)
            except ValueError as error:
                raise ClipError(clip.name, f"{error} (see --frames)") from error
            self._annotated[number] = annotated
        opened[number] = clip
        if len(opened) > MAX_OPEN:
            del opened[next(iter(opened))]
        return clip, self._annotated[number]

    def _sample(self, clip: Clip, annotated: Annotated, rng: np.random.Generator) -> Batch:
        stage = self.stage
        chosen = excerpt(annotated.visible, stage.frames, stage.gap, rng, annotated.known)
        frames, masks, squeezed = annotated.resized(clip, chosen, self.shape)
        limits = {"min_area": stage.min_area, "max_area": stage.max_area}
        try:
            return sample(frames, masks, stage.objects, self.changes, rng, squeezed, **limits)
        except ValueError as error:
            problem = f"{error} at {self.shape[1]}x{self.shape[0]} pixels"
            raise ClipError(clip.name, problem, int(annotated.frames[chosen[0]])) from error

    def order(self, step: int, rank: int, world: int) -> Sampler[tuple[int, int]]:
        """The indices of one process' share of every batch, from a step on."""
        return ClipOrder(len(self.clips), self.stage.clips, step, rank, world)


class ClipOrder(Sampler[tuple[int, int]]):
    """Endless indices for `ClipSamples`: all clips, shuffled, again and again.

    Args:
        length: number of clips in the data set.
        clips: number in one process' share of a batch.
        step: to resume from.
        rank, world: of this process.
    """

    def __init__(self, length: int, clips: int, step: int, rank: int, world: int) -> None:
        self.length, self.clips, self.step, self.rank, self.world = length, clips, step, rank, world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for step in count(self.step):
            first = (step * self.world + self.rank) * self.clips
            for position in range(first, first + self.clips):
                use, place = divmod(position, self.length)
                yield int(np.random.default_rng(use).permutation(self.length)[place]), use


def size_of(clips: Sequence[Clip]) -> tuple[int, int]:
    """Height and width, pixels, of the first clip that is not damaged.

    Raises:
        ValueError: there are no clips, or all are damaged (the last one's ClipError).
    """
    damaged: ValueError = ValueError("there are no clips to learn from or to validate with")
    for number in range(len(clips)):
        try:
            height, width = clips[number].frames[0].shape[:2]
            return height, width
        except ClipError as error:
            damaged = error
    raise damaged
