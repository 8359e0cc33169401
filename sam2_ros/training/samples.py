"""Training samples: a few objects of a clip, as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from sam2_ros.data.clip import Clip
from sam2_ros.data.synthetic import SyntheticScenes

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Batch:
    """B clips of T frames, and O objects in them."""

    images: Tensor
    """uint8 [B, T, 3, S, S]."""
    masks: Tensor
    """bool [O, T, S, S]."""
    clip: Tensor
    """Which clip each object is in: int64 [O]."""

    @property
    def normalised(self) -> Tensor:
        """float32 [B, T, 3, S, S], as the network wants it."""
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
        return (self.images / 255 - mean) / std

    @staticmethod
    def join(parts: Sequence[Batch]) -> Batch:
        """Several batches as one."""
        offsets = np.cumsum([0] + [len(part.images) for part in parts[:-1]]).tolist()
        return Batch(
            torch.cat([part.images for part in parts]),
            torch.cat([part.masks for part in parts]),
            torch.cat([part.clip + offset for part, offset in zip(parts, offsets, strict=True)]),
        )


def excerpt(clip: Clip, frames: int, rng: np.random.Generator) -> Clip:
    """Some of a clip's frames, evenly spaced, from any place and at any pace that it is long enough for.

    Large gaps make things come and go within a few frames, which otherwise takes clips too long to learn from. The
    first frame shows an object, as long as the clip's own first frame does.
    """
    gap = 1 if frames == 1 else int(rng.integers(1, (len(clip.frames) - 1) // (frames - 1) + 1))
    starts = [i for i in range(len(clip.frames) - (frames - 1) * gap) if clip.masks[i].any()]
    first = int(rng.choice(starts or [0]))
    chosen = range(first, first + frames * gap, gap)[:frames]
    return replace(clip, frames=[clip.frames[i] for i in chosen], masks=[clip.masks[i] for i in chosen])


def sample(clip: Clip, objects: int, rng: np.random.Generator, smallest: float = 5e-4) -> Batch:
    """Some objects of a fully annotated clip, played forwards or backwards.

    Objects that can be seen on the first frame are chosen from, those that cover less than `smallest` of it last.
    Where there are too few, some are taken again, to be prompted elsewhere: all batches have one shape, and memory is
    allocated once.

    Args:
        clip: square frames, of one size.
        objects: so many.
    """
    masks = np.stack(clip.masks)  # [T, N, S, S]
    frames = np.stack(clip.frames)
    area = masks.mean(axis=(2, 3))
    if rng.random() < 0.5 and area[-1].max() >= smallest:
        masks, frames, area = masks[::-1], frames[::-1], area[::-1]
    if rng.random() < 0.5:
        masks, frames = masks[..., ::-1], frames[:, :, ::-1]
    candidates = np.flatnonzero(area[0] >= smallest)
    if not candidates.size:
        candidates = area[0].argmax(keepdims=True)
    chosen = np.resize(rng.permutation(candidates), objects)
    return Batch(
        torch.from_numpy(frames.copy()).permute(0, 3, 1, 2)[None],
        torch.from_numpy(masks[:, chosen].copy()).transpose(0, 1),
        torch.zeros(len(chosen), dtype=torch.int64),
    )


def recoloured(batch: Batch, rng: np.random.Generator) -> Batch:
    """The same sample under another light: colours scaled, grey now and then."""
    images = batch.images.float()
    if rng.random() < 0.05:
        images = images.mean(dim=2, keepdim=True).expand_as(images)
    gain = torch.from_numpy(rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3)).float().view(3, 1, 1)
    images = (images - 128) * float(rng.uniform(0.8, 1.2)) + 128 * gain
    return Batch(images.clamp(0, 255).to(torch.uint8), batch.masks, batch.clip)


class SceneSamples(Dataset[Batch]):
    """Samples of synthetic scenes. An index is a seed and how often its scene was used before.

    Scenes cost as much to make as to learn from, so each is used several times: with other objects, mirrored, played
    backwards, in other colours. The last `keep` scenes are kept for that.

    Args:
        kinds: what scenes are made by, in turns.
        frames: of a sample; scenes may be longer.
        objects: at most so many of each scene.
    """

    def __init__(self, kinds: Sequence[SyntheticScenes], frames: int, objects: int, keep: int) -> None:
        self.kinds = kinds
        self.frames = frames
        self.objects = objects
        self.scene = lru_cache(maxsize=keep)(lambda seed: kinds[seed % len(kinds)].scene(seed))

    def __getitem__(self, index: tuple[int, int]) -> Batch:
        rng = np.random.default_rng(index)
        return recoloured(sample(excerpt(self.scene(index[0]), self.frames, rng), self.objects, rng), rng)


class Order(Sampler[tuple[int, int]]):
    """Endless indices for `SceneSamples`: blocks of scenes, each gone through several times.

    Args:
        position: where to go on, in samples.
        rank, world: which of how many processes this is; they get different scenes.
        block: scenes in a block.
        uses: how often each is gone through.
        first_seed: added to all seeds.
    """

    def __init__(
        self, position: int = 0, rank: int = 0, world: int = 1, block: int = 64, uses: int = 3, first_seed: int = 0
    ) -> None:
        self.position, self.rank, self.world = position, rank, world
        self.block, self.uses, self.first_seed = block, uses, first_seed

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for position in count(self.position):
            rest, place = divmod(position, self.block)
            block, use = divmod(rest, self.uses)
            shuffled = np.random.default_rng((block, use)).permutation(self.block)
            first = self.first_seed + (block * self.world + self.rank) * self.block
            yield first + int(shuffled[place]), use
