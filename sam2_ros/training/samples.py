"""Training samples: a few objects on a few frames of a clip, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Sampler

from sam2_ros.tracking.pixels import normalised
from sam2_ros.training import augmentation
from sam2_ros.training.augmentation import Augmentation


@dataclass(frozen=True)
class Batch:
    """B clips of T frames with O objects."""

    images: Tensor
    """uint8 [B, T, 3, H, W]."""
    masks: Tensor
    """bool [O, T, H, W]; none is empty on the first frame."""
    clip: Tensor
    """Index of each object's clip: int64 [O]."""

    @property
    def normalised(self) -> Tensor:
        """Input of the network: float32 [B, T, 3, H, W]."""
        return normalised(self.images)

    def to(self, device: torch.device) -> Batch:
        """Copy to a device; from pinned memory, asynchronously."""
        return Batch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))

    def resized(self, shape: tuple[int, int]) -> Batch:
        """The same at another height and width, pixels. What would be too small for a pixel on its first frame is
        enlarged to one."""
        images = F.interpolate(self.images.flatten(0, 1).float(), shape, mode="bilinear", antialias=True)
        cover = F.interpolate(self.masks.float(), shape, mode="area")
        masks = cover >= 0.5
        lost = ~masks[:, 0].flatten(1).any(dim=1)
        masks[lost] = cover[lost] > 0
        sized = images.round().to(torch.uint8).unflatten(0, self.images.shape[:2])
        return Batch(sized, masks, self.clip)

    def pin_memory(self) -> Batch:
        """Copy to pinned memory; called by the data loader."""
        return Batch(*(getattr(self, field.name).pin_memory() for field in fields(self)))

    @staticmethod
    def join(parts: Sequence[Batch]) -> Batch:
        """Concatenate batches."""
        offsets = np.cumsum([0] + [len(part.images) for part in parts[:-1]]).tolist()
        return Batch(
            torch.cat([part.images for part in parts]),
            torch.cat([part.masks for part in parts]),
            torch.cat([part.clip + offset for part, offset in zip(parts, offsets, strict=True)]),
        )


class Samples(Protocol):
    """Samples to train on: `SceneSamples`, `ClipSamples`, or `JointSamples` of both."""

    def __getitem__(self, index: Any) -> Batch: ...

    def order(self, step: int, rank: int, world: int) -> Sampler[Any]:
        """The indices of one process' share of every batch, from a step on."""
        ...


def excerpt(
    visible: np.ndarray, frames: int, max_gap: int, rng: np.random.Generator, known: np.ndarray | None = None
) -> list[int]:
    """Draw the frames of a sample, in playing order: indices into the clip.

    They are evenly spaced, with any offset and gap that the clip is long enough for, forwards or backwards. Large gaps
    make objects come and go within a few frames, which otherwise takes clips too long to train on. The first frame
    shows an object that is known on all of them: prompts are given there.

    Args:
        visible: whether each object is visible on each frame: bool [T, N].
        frames: number of frames to draw, at most T.
        max_gap: maximum distance of two neighbours; 1: consecutive frames.
        known: whether the mask of each object is known on each frame: bool [T, N]. None: all are.

    Raises:
        ValueError: no object is visible on a frame and known on that many from there on.
    """

    def shown(first: int, step: int) -> bool:
        candidates = visible[first]
        return bool(
            (candidates if known is None else candidates & known[first + step * np.arange(frames)].all(axis=0)).any()
        )

    count = len(visible)
    max_gap = min(max_gap, (count - 1) // (frames - 1)) if frames > 1 else 1
    for gap in range(int(rng.integers(1, max_gap + 1)), 0, -1):  # an object may be known for a shorter time
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
    min_area: float = 0.0,
    max_area: float = 1.0,
) -> Batch:
    """Draw objects that are visible on the first frame of a clip, and augment the clip.

    Args:
        frames: uint8 [T, H, W, 3].
        masks: bool [T, N, H, W].
        objects: maximum number.
        squeezed: as in `moved`.
        fill: repeat objects where there are fewer, to be prompted elsewhere, so that all batches have one shape and
            memory is allocated once.
        min_area, max_area: as in `Stage`.

    Raises:
        ValueError: the first frame shows no object.
    """
    area = masks[0].mean(axis=(1, 2))
    area[area > max_area] = 0
    if not area.any():
        raise ValueError("the first frame shows no object")
    candidates = np.flatnonzero((area > 0) & (area >= min_area))
    if not candidates.size:
        candidates = area.argmax(keepdims=True)
    masks = masks[:, rng.permutation(candidates)[:objects]]
    changed, moved = augmentation.moved(frames, masks, changes, rng, squeezed)
    visible = moved[0].any(axis=(1, 2))
    if visible.any():  # else all left the image: keep the clip unchanged
        frames, masks = changed, moved[:, visible]
    if fill:
        masks = masks[:, np.resize(np.arange(masks.shape[1]), objects)]
    frames = augmentation.recoloured(frames, changes, rng)
    return Batch(
        torch.from_numpy(frames).permute(0, 3, 1, 2)[None].contiguous(),
        torch.from_numpy(np.ascontiguousarray(masks)).transpose(0, 1).contiguous(),
        torch.zeros(masks.shape[1], dtype=torch.int64),
    )
