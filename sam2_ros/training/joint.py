"""Joint training: batches of clips and batches of still images in turn (SAM 2 paper, appendix D.2).

Videos with masks are few and look alike; still images are many. A model trained on clips alone loses some of its
accuracy on clicks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice

from torch.utils.data import Dataset, Sampler

from sam2_ros.training.recipe import Stage
from sam2_ros.training.samples import Batch, Samples

STILL_SEEDS = 2**36
"""Offset from the seeds of clips to those of the still scenes beside them."""

MAX_STILL_AREA = 0.9
"""`Stage.max_area` of still images beside clips (appendix C.2.1)."""

Index = tuple[int, int]
JointIndex = tuple[bool, tuple[Index, ...]]
"""Whether the batch is one of still images, and the indices of its samples among these or among the clips."""


def stills_for_a_clip(stage: Stage) -> int:
    """Number of still images in the place of one clip."""
    return stage.still_images or stage.frames


def still_stage(stage: Stage) -> Stage:
    """The stage of the still images beside the clips of a stage."""
    return replace(
        stage,
        frames=1,
        gap=1,
        clips=stage.clips * stills_for_a_clip(stage),
        objects=stage.still_objects,
        max_area=MAX_STILL_AREA,
        first_seed=stage.first_seed + STILL_SEEDS,
    )


def stills_before(stage: Stage, step: int) -> int:
    """Number of steps with still images before this one; they are spread evenly."""
    return int(step * stage.still_share)


class JointSamples(Dataset[Batch]):
    """Samples whose batches have either clips or still images, the same in all processes.

    Args:
        clips: samples of the stage.
        stills: samples of `still_stage(stage)`.
        stage: its `still_share` is the share of steps with still images.
    """

    def __init__(self, clips: Samples, stills: Samples, stage: Stage) -> None:
        self.clips, self.stills, self.stage = clips, stills, stage

    def __getitem__(self, index: JointIndex) -> Batch:
        still, samples = index
        source = self.stills if still else self.clips
        return Batch.join([source[sample] for sample in samples])

    def order(self, step: int, rank: int, world: int) -> Sampler[JointIndex]:
        """The indices of one process' share of every batch, from a step on."""
        return JointOrder(self, step, rank, world)


class JointOrder(Sampler[JointIndex]):
    """Endless indices for `JointSamples`, each of one clip or of the still images in its place.

    Args:
        samples: to index.
        step: to resume from.
        rank, world: of this process.
    """

    def __init__(self, samples: JointSamples, step: int, rank: int, world: int) -> None:
        self.samples, self.step, self.rank, self.world = samples, step, rank, world

    def __iter__(self) -> Iterator[JointIndex]:
        stage = self.samples.stage
        with_stills = stills_before(stage, self.step)
        clips = iter(self.samples.clips.order(self.step - with_stills, self.rank, self.world))
        stills = iter(self.samples.stills.order(with_stills, self.rank, self.world))
        for step in count(self.step):
            still = stills_before(stage, step + 1) > stills_before(stage, step)
            for _ in range(stage.clips):
                yield still, tuple(islice(stills, stills_for_a_clip(stage)) if still else islice(clips, 1))
