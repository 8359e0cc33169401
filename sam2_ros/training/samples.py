"""Training samples: a few objects on a few frames of a clip, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from sam2_ros.tracking.pixels import normalised
from sam2_ros.training import augmentation
from sam2_ros.training.augmentation import Augmentation


@dataclass(frozen=True)
class Batch:
    """B clips of T frames, and O objects in them."""

    images: Tensor
    """uint8 [B, T, 3, H, W]."""
    masks: Tensor
    """bool [O, T, H, W]; on the first frame none is empty."""
    clip: Tensor
    """Which clip each object is in: int64 [O]."""

    @property
    def normalised(self) -> Tensor:
        """float32 [B, T, 3, H, W], as the network wants it."""
        return normalised(self.images)

    def to(self, device: torch.device) -> Batch:
        """On another device; from pinned memory, without waiting for it."""
        return Batch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))

    def pin_memory(self) -> Batch:
        """In memory that a GPU can read by itself; the data loader asks for it."""
        return Batch(*(getattr(self, field.name).pin_memory() for field in fields(self)))

    @staticmethod
    def join(parts: Sequence[Batch]) -> Batch:
        """Several batches as one."""
        offsets = np.cumsum([0] + [len(part.images) for part in parts[:-1]]).tolist()
        return Batch(
            torch.cat([part.images for part in parts]),
            torch.cat([part.masks for part in parts]),
            torch.cat([part.clip + offset for part, offset in zip(parts, offsets, strict=True)]),
        )


class Samples(Protocol):
    """What is learnt from: `SceneSamples`, `ClipSamples`, or `JointSamples` of both."""

    def __getitem__(self, index: Any) -> Batch: ...

    def order(self, step: int, rank: int, world: int) -> Sampler[Any]:
        """The indices of one process' part of every batch, from a step on."""
        ...


def excerpt(
    visible: np.ndarray, frames: int, longest_gap: int, rng: np.random.Generator, known: np.ndarray | None = None
) -> list[int]:
    """Which frames of a clip to learn from, in the order in which they are played.

    They are evenly spaced, from any place and at any pace that the clip is long enough for, forwards or backwards.
    Large gaps make things come and go within a few frames, which otherwise takes clips too long to learn from. The
    first frame shows an object that is known on all of them: prompts are given there.

    Args:
        visible: for each frame, whether it shows each object: bool [T, N].
        frames: how many to choose; there are as many.
        longest_gap: between two neighbours. 1: they follow each other.
        known: for each frame, whether each object's mask is known: bool [T, N]. None: all are.

    Raises:
        ValueError: no object can be seen on a frame and is known from there on for as long.
    """

    def shown(first: int, step: int) -> bool:
        there = visible[first]
        return bool((there if known is None else there & known[first + step * np.arange(frames)].all(axis=0)).any())

    count = len(visible)
    longest_gap = min(longest_gap, (count - 1) // (frames - 1)) if frames > 1 else 1
    for gap in range(int(rng.integers(1, longest_gap + 1)), 0, -1):  # an object may not be known for as long as that
        reach = (frames - 1) * gap
        forwards = [i for i in range(count - reach) if shown(i, gap)]
        backwards = [i for i in range(reach, count) if shown(i, -gap)]
        if forwards or backwards:
            turned = bool(backwards) and (rng.random() < 0.5 or not forwards)
            first, step = int(rng.choice(backwards if turned else forwards)), -gap if turned else gap
            return [first + i * step for i in range(frames)]
    raise ValueError(f"no object is seen, and known, on {frames} frames that follow each other")


def sample(
    frames: np.ndarray,
    masks: np.ndarray,
    objects: int,
    changes: Augmentation,
    rng: np.random.Generator,
    squeezed: float = 1.0,
    fill: bool = False,
    smallest: float = 0.0,
    largest: float = 1.0,
) -> Batch:
    """Some objects of a clip, changed at random.

    Objects that can be seen on the first frame are chosen from.

    Args:
        frames: uint8 [T, H, W, 3].
        masks: bool [T, N, H, W].
        objects: at most so many.
        squeezed: as in `moved`.
        fill: where there are fewer objects, some are taken again, to be prompted elsewhere. So all batches have one
            shape, and memory is allocated once.
        smallest, largest: as in `Stage`.

    Raises:
        ValueError: the first frame shows no object.
    """
    area = masks[0].mean(axis=(1, 2))
    area[area > largest] = 0
    if not area.any():
        raise ValueError("the first frame shows no object")
    candidates = np.flatnonzero((area > 0) & (area >= smallest))
    if not candidates.size:
        candidates = area.argmax(keepdims=True)
    masks = masks[:, rng.permutation(candidates)[:objects]]
    changed, moved = augmentation.moved(frames, masks, changes, rng, squeezed)
    kept = moved[0].any(axis=(1, 2))
    if kept.any():  # else the clip stays as it was
        frames, masks = changed, moved[:, kept]
    if fill:
        masks = masks[:, np.resize(np.arange(masks.shape[1]), objects)]
    frames = augmentation.recoloured(frames, changes, rng)
    return Batch(
        torch.from_numpy(frames).permute(0, 3, 1, 2)[None].contiguous(),
        torch.from_numpy(np.ascontiguousarray(masks)).transpose(0, 1).contiguous(),
        torch.zeros(masks.shape[1], dtype=torch.int64),
    )
