"""The recipe of a training clip: which frames are prompted and corrected, and what is remembered of each.

What the network is shown of its past is decided by the tracker's own `MemoryBank`, so that training and use agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sam2_ros.model.sam2 import SAM2, Decoded, Memories
from sam2_ros.tracking.memory_bank import MemoryBank
from sam2_ros.training import prompts
from sam2_ros.training.affinity import Affinity
from sam2_ros.training.losses import PAPER, Losses, Weights, coverage, losses
from sam2_ros.training.samples import Batch

LOGIT_LIMIT = 32.0
"""Logits that come back as a mask prompt are clamped to plus or minus this, as they are in tracking."""


@dataclass(frozen=True)
class Recipe:
    """Chances; every choice is made once per batch."""

    mask: float = 0.5
    """The first prompt of a video is the mask."""
    box: float = 0.25
    """The first prompt is a box; what is left is clicks."""
    corrected: float = 0.5
    """Clicks correct the first frame (unless its mask was given) and one later frame."""
    corrections: int = 2
    """At most so many clicks on a corrected frame."""
    long_ago: float = 0.5
    """Prompted frames are said to lie up to a thousand frames back, as they do in a long stream."""


@dataclass(frozen=True)
class Outcome:
    """What came out of a rollout."""

    losses: list[Losses]
    """Of every answer of the decoder."""
    logits: Tensor
    """Last answer on each frame, also where the object is said to be absent: float32 [O, T, S / 4, S / 4]."""
    presence_logit: Tensor
    """float32 [O, T]."""
    affinity: Tensor
    """Weighted loss of the encoder alone, a scalar."""

    @property
    def total(self) -> Tensor:
        """Mean weighted loss."""
        return torch.stack([entry.total for entry in self.losses]).mean() + self.affinity


class Rollout:
    """Runs the network over a batch of clips as the tracker does, with prompts drawn from the true masks.

    Args:
        model: the network; its image size is that of the batches.
        recipe: how objects are prompted.
        weights: of the losses.
        affinity: what compares pixels, when `weights` ask for it.
    """

    def __init__(
        self, model: SAM2, recipe: Recipe, weights: Weights = PAPER, affinity: Affinity | None = None
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.weights = weights
        self.affinity = affinity

    def __call__(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """Prompts the first frame and tracks the others. All choices come from the generator."""
        model, recipe = self.model, self.recipe
        frames = batch.masks.shape[1]
        kind, correct, age = torch.rand(3, generator=generator).tolist()
        from_mask = frames > 1 and kind < recipe.mask
        from_box = not from_mask and torch.rand((), generator=generator) < recipe.box / (1 - recipe.mask)
        corrected = {0, int(torch.randint(frames, (), generator=generator))} if correct < recipe.corrected else set()
        ago = int(torch.exp(torch.rand((), generator=generator) * 7)) if age < recipe.long_ago else 0

        features = model.encode_image(batch.normalised.flatten(0, 1))
        targets = coverage(batch.masks)
        alike = torch.zeros(())
        if self.affinity is not None:
            alike = self.weights.affinity * self.affinity(features, batch.masks, targets, batch.clip, generator)
        bank = MemoryBank(model.config, history=0, prompted_memories=frames)
        answers: list[Decoded] = []
        scored: list[Losses] = []
        for t in range(frames):
            seen, mask = features[batch.clip * frames + t], batch.masks[:, t]
            if t == 0 and from_mask:
                answer = model.decode_mask(seen, mask[:, None].float())
            else:
                points, labels = None, None
                conditioned = model.without_memory(seen) if t == 0 else model.condition(seen, _recall(bank, t, ago))
                if t == 0:
                    points, labels = (prompts.boxes if from_box else prompts.clicks)(mask, generator)
                clicks = int(torch.randint(1, recipe.corrections + 1, (), generator=generator)) if t in corrected else 0
                earlier = None
                for attempt in range(1 + clicks):
                    if attempt:
                        click, label = prompts.corrections(answer.mask_logits, mask, generator)
                        points = click if points is None else torch.cat((points, click), dim=1)
                        labels = label if labels is None else torch.cat((labels, label), dim=1)
                        earlier = answer.mask_logits.detach()[:, None].clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
                    multimask = points is None or points.shape[1] == 1
                    answer = model.decode(conditioned, seen, points, labels, earlier, multimask)
                    scored.append(losses(answer, targets[:, t], mask.flatten(1).any(dim=1), multimask, self.weights))
            answers.append(answer)
            if t + 1 < frames:
                prompted = t == 0 or t in corrected
                memory = model.encode_memory(seen, answer.mask_logits, answer.presence_logit, prompted)
                remember = bank.remember_prompted if prompted else bank.remember
                remember(t, memory, answer.pointer)
        return Outcome(
            scored,
            torch.stack([answer.visible_logits.detach() for answer in answers], dim=1).float(),
            torch.stack([answer.presence_logit for answer in answers], dim=1).float(),
            alike,
        )


def _recall(bank: MemoryBank, t: int, ago: int) -> Memories:
    """What all objects remember on frame t; prompted frames are said to be `ago` frames older than they are."""
    maps, pointers = bank.recall(t)
    ages = [age + ago * (t - age in bank.prompted) for age, _ in pointers]
    objects = len(maps[0][1])
    return Memories(
        torch.stack([value for _, value in maps], dim=1),
        torch.tensor([age for age, _ in maps]).expand(objects, -1),
        torch.stack([value for _, value in pointers], dim=1),
        torch.tensor(ages).expand(objects, -1),
    )
