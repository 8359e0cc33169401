"""Training samples of synthetic scenes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count

import numpy as np
from torch.utils.data import Dataset, Sampler

from sam2_ros.scenes.photo_scenes import PhotoScenes
from sam2_ros.scenes.photographs import Photograph
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.simulation.mujoco_scenes import MujocoScenes
from sam2_ros.scenes.synthetic import Scenes, SyntheticScenes, areas
from sam2_ros.scenes.table_scenes import TableScenes
from sam2_ros.training.augmentation import Augmentation
from sam2_ros.training.recipe import Stage
from sam2_ros.training.samples import Batch, excerpt, sample

BLOCK = 64
"""Approximate number of scenes that a worker caches, to use each of them several times."""


class SceneSamples(Dataset[Batch]):
    """Samples of synthetic scenes. An index is a seed and the number of times its scene was used before.

    Making a scene costs as much as training on it, so each is used several times: with other objects, mirrored, played
    backwards, in other colours.

    Args:
        stage: settings of the scenes.
        shape: height and width of their images, pixels.
        changes: augmentation of the samples.
        pictures: two in three scenes are textured with them; None: all are procedural.
        photographs: `stage.photographs` of the scenes are made of them.

    Raises:
        ValueError: photographs are missing, or their share is 0.
    """

    def __init__(
        self,
        stage: Stage,
        shape: tuple[int, int],
        changes: Augmentation,
        pictures: Pictures | None = None,
        photographs: Sequence[Photograph] = (),
    ) -> None:
        if bool(photographs) != bool(stage.photographs):
            raise ValueError("photographs (--photographs) need a recipe with `photographs`, their share, and it them")
        self.stage = stage
        self.changes = changes
        settings = stage.scenes(*shape)
        kinds: list[Scenes] = [SyntheticScenes(settings)]
        if pictures is not None:
            kinds += 2 * [SyntheticScenes(settings, pictures)]
        if stage.simulated:
            kinds = 5 * kinds + [MujocoScenes(settings, pictures)]
        self._kinds, self._tables = kinds, TableScenes(replace(settings, frames=stage.frames), pictures)
        self._photographs = PhotoScenes(settings, photographs, pictures)
        self.film = lru_cache(maxsize=rows(stage.clips) * stage.clips)(lambda seed: self.maker(seed).film(seed))

    def maker(self, seed: int) -> Scenes:
        """The kind of scenes that a seed belongs to."""
        chance = np.random.default_rng(seed).random()
        if chance < self.stage.tables:
            return self._tables
        photographed = chance >= 1 - self.stage.photographs
        return self._photographs if photographed else self._kinds[seed % len(self._kinds)]

    def __getitem__(self, index: tuple[int, int]) -> Batch:
        rng = np.random.default_rng(index)
        film = self.film(index[0])
        if len(film) == self.stage.frames:  # all frames are used, and rendered only once
            shown = np.array([[film[t][1].any()] for t in range(len(film))])
        else:
            shown = np.array([[film.shows(t)] for t in range(len(film))])
        chosen = excerpt(shown, self.stage.frames, len(film), rng)
        frames, labels = (np.stack(part) for part in zip(*(film[t] for t in chosen), strict=True))
        ids = 1 + np.flatnonzero(areas(labels[0]))  # objects that appear later are not used
        masks = labels[:, None] == ids.astype(np.uint8)[:, None, None]
        return sample(frames, masks, self.stage.objects, self.changes, rng, fill=True, min_area=self.stage.min_area)

    def order(self, step: int, rank: int, world: int) -> Sampler[tuple[int, int]]:
        """The indices of one process' share of every batch, from a step on."""
        return SceneOrder(self.stage, step, rank, world)


def rows(clips: int) -> int:
    """Number of batches in a block of new scenes, which is shuffled and used `Stage.uses` times."""
    return max(2, BLOCK // clips)


class SceneOrder(Sampler[tuple[int, int]]):
    """Endless indices for `SceneSamples`; the whole batches are the same for any number of processes.

    A scene keeps its place in the batch and its worker each time it is used, so that it is made only once.

    Args:
        stage: settings of the scenes.
        step: to resume from.
        rank, world: of this process.
    """

    def __init__(self, stage: Stage, step: int, rank: int, world: int) -> None:
        self.stage, self.step, self.rank, self.world = stage, step, rank, world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        stage = self.stage
        width = stage.clips * self.world
        height = rows(width)
        workers = max(1, stage.workers)
        for step in count(self.step):
            turn, worker = divmod(step, workers)  # the data loader assigns batches to its workers in turn
            rest, row = divmod(turn, height)
            block, use = divmod(rest, stage.uses)
            first = stage.first_seed + (block * workers + worker) * height * width
            for place in range(self.rank * stage.clips, (self.rank + 1) * stage.clips):
                shuffled = np.random.default_rng((block, worker, use, place)).permutation(height)
                yield first + int(shuffled[row]) * width + place, use
