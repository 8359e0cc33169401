"""Training samples of two sources in turns: clips and still images (SAM 2 paper, appendix D.2, "joint training").

Videos with masks are few and look alike; still images are many. A network that learns from clips alone forgets some of
what a click means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice

from torch.utils.data import Dataset, Sampler

from sam2_ros.training.recipe import Stage
from sam2_ros.training.samples import Batch, Samples

LATER = 2**36
"""Scenes of still images have seeds that are so much larger than those of the clips beside them."""

LARGEST = 0.9
"""As in `Stage.largest`, for still images beside clips (appendix C.2.1)."""

Index = tuple[int, int]
JointIndex = tuple[bool, tuple[Index, ...]]
"""Whether still images are meant, and which samples of theirs, or of the clips."""


def stills_for_a_clip(stage: Stage) -> int:
    """How many still images are in the place of one clip."""
    return stage.still_images or stage.frames


def of_stills(stage: Stage) -> Stage:
    """What the still images beside the clips of a stage are like."""
    return replace(
        stage,
        frames=1,
        gap=1,
        clips=stage.clips * stills_for_a_clip(stage),
        objects=stage.still_objects,
        largest=LARGEST,
        first_seed=stage.first_seed + LATER,
    )


def stills_before(stage: Stage, step: int) -> int:
    """How many of the steps before this one are with still images; they are spread evenly."""
    return int(step * stage.still_share)


class JointSamples(Dataset[Batch]):
    """Every batch has either clips or still images, in all processes the same.

    Args:
        clips: samples of the stage.
        stills: samples of `of_stills(stage)`.
        stage: says how many of the steps are with still images.
    """

    def __init__(self, clips: Samples, stills: Samples, stage: Stage) -> None:
        self.clips, self.stills, self.stage = clips, stills, stage

    def __getitem__(self, index: JointIndex) -> Batch:
        still, samples = index
        source = self.stills if still else self.clips
        return Batch.join([source[sample] for sample in samples])

    def order(self, step: int, rank: int, world: int) -> Sampler[JointIndex]:
        """The indices of one process' part of every batch, from a step on."""
        return JointOrder(self, step, rank, world)


class JointOrder(Sampler[JointIndex]):
    """Endless indices for `JointSamples`. Where one is a clip in other batches, it is that many still images here.

    Args:
        samples: whose.
        step: where to go on.
        rank, world: which of how many processes this is.
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
