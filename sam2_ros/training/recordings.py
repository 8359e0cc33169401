"""Training samples from clips on a disk: data sets, recordings of a robot."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset, Sampler

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.training.augmentation import Augmentation
from sam2_ros.training.recipe import Stage
from sam2_ros.training.samples import SMALLEST, Batch, excerpt, sample

PATIENCE = 10
"""Clips that may fail one after another before training gives up."""


@dataclass(frozen=True)
class Annotated:
    """A clip and what is known of its masks."""

    clip: Clip
    frames: list[int]
    """Indices of the annotated ones; others may show anything, so nothing is learnt from them."""
    visible: list[bool]
    """Of these frames: whether an object can be seen well enough to be pointed out."""

    @classmethod
    def look_through(cls, clip: Clip) -> Annotated:
        """Decodes all masks once. Raises ClipError."""
        frames, area = [], []
        for index, masks in enumerate(clip.masks):
            if masks is not None:
                frames.append(index)
                area.append(float(masks.mean(axis=(1, 2)).max(initial=0.0)))
        visible = [one >= SMALLEST for one in area]
        if not any(visible):
            visible = [one > 0 for one in area]
        if not any(visible):
            raise ClipError(clip.name, "no frame has a mask: nothing can be learnt from it")
        return cls(clip, frames, visible)

    def square(self, chosen: Sequence[int], size: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Some annotated frames as the tracker would hand them to the network.

        Args:
            chosen: indices into `frames`.
            size: side, pixels.

        Returns:
            Frames uint8 [T, size, size, 3], masks bool [T, N, size, size], and width / height of the clip.

        Raises:
            ClipError: a frame is damaged.
        """
        frames, masks = [], []
        for index in (self.frames[i] for i in chosen):
            image, truth = self.clip.frames[index], self.clip.masks[index]
            assert truth is not None
            aspect = image.shape[1] / image.shape[0]
            frames.append(_resized(np.ascontiguousarray(image.transpose(2, 0, 1)), size).transpose(1, 2, 0))
            masks.append(_resized(truth.view(np.uint8) * np.uint8(255), size) > 127)
        return np.stack(frames), np.stack(masks), aspect


def _resized(planes: np.ndarray, size: int) -> np.ndarray:
    """uint8 [C, H, W] -> uint8 [C, size, size]: bilinear with antialiasing, as in `tracking.pixels`."""
    resized = F.interpolate(torch.from_numpy(planes)[None], (size, size), mode="bilinear", antialias=True)
    return resized[0].numpy()


class ClipSamples(Dataset[Batch]):
    """Samples of clips of any size. An index is a clip's place and how often it was used before.

    A damaged clip, or one with fewer annotated frames than a sample has, is passed over with a warning, and the next
    one takes its place.

    Args:
        clips: opened one at a time.
        stage: says what samples are like.
        size: side of their pictures, pixels.
        changes: what is done to them.
    """

    def __init__(self, clips: Sequence[Clip], stage: Stage, size: int, changes: Augmentation) -> None:
        self.clips = clips
        self.stage = stage
        self.size = size
        self.changes = changes
        self.annotated = lru_cache(maxsize=16)(lambda number: Annotated.look_through(clips[number]))

    def __getitem__(self, index: tuple[int, int]) -> Batch:
        number, _ = index
        rng = np.random.default_rng(index)
        for attempt in range(min(PATIENCE, len(self.clips))):
            try:
                return self._sample((number + attempt) % len(self.clips), rng)
            except ClipError as error:
                warnings.warn(f"passed over: {error}", stacklevel=2)
                last = error
        raise ValueError(f"nothing can be learnt from {attempt + 1} clips one after another; the last: {last}")

    def _sample(self, number: int, rng: np.random.Generator) -> Batch:
        stage, one = self.stage, self.annotated(number)
        if len(one.frames) < stage.frames:
            problem = f"has {len(one.frames)} annotated frames, a training clip takes {stage.frames} (see --frames)"
            raise ClipError(one.clip.name, problem)
        chosen = excerpt(one.visible, stage.frames, stage.gap, rng)
        frames, masks, aspect = one.square(chosen, self.size)
        try:
            return sample(frames, masks, stage.objects, self.changes, rng, aspect)
        except ValueError as error:
            problem = f"{error} at {self.size} x {self.size} pixels"
            raise ClipError(one.clip.name, problem, one.frames[chosen[0]]) from error

    def order(self, step: int, rank: int, world: int) -> Sampler[tuple[int, int]]:
        """The indices of one process' part of every batch, from a step on."""
        return ClipOrder(len(self.clips), self.stage.clips, step, rank, world)


class ClipOrder(Sampler[tuple[int, int]]):
    """Endless indices for `ClipSamples`: all clips, shuffled, again and again.

    Args:
        length: how many clips there are.
        clips: in one process' part of a batch.
        step: where to go on.
        rank, world: which of how many processes this is.
    """

    def __init__(self, length: int, clips: int, step: int, rank: int, world: int) -> None:
        self.length, self.clips, self.step, self.rank, self.world = length, clips, step, rank, world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for step in count(self.step):
            first = (step * self.world + self.rank) * self.clips
            for position in range(first, first + self.clips):
                use, place = divmod(position, self.length)
                yield int(np.random.default_rng(use).permutation(self.length)[place]), use
