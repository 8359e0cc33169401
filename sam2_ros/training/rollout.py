"""The model over training clips, frame by frame, as the tracker runs it.

The tracker's own memory bank chooses what the model attends to, so that training and inference agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sam2_ros.acceleration import Network
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures
from sam2_ros.tracking.pixels import mask_input
from sam2_ros.training import prompts
from sam2_ros.training.affinity import Affinity
from sam2_ros.training.clip_memory import ClipMemory
from sam2_ros.training.losses import PAPER_LOSSES, Losses, LossWeights, coverage, losses
from sam2_ros.training.plan import FirstPrompt, Plan, Prompting
from sam2_ros.training.processes import all_gather, rank_and_world
from sam2_ros.training.prompts import Chance
from sam2_ros.training.samples import Batch


@dataclass(frozen=True)
class Outcome:
    """The losses and masks of a rollout."""

    losses: list[Losses]
    """Losses of every output of the decoder."""
    logits: Tensor
    """Last masks on each frame, also where the object is predicted absent: float32 [O, T, H / 4, W / 4]."""
    presence_logit: Tensor
    """float32 [O, T]."""
    affinity: Tensor
    """Weighted affinity loss of the encoder, a scalar."""

    @property
    def total(self) -> Tensor:
        """Mean weighted loss, a scalar."""
        return torch.stack([entry.total for entry in self.losses]).mean() + self.affinity


class Rollout(nn.Module):
    """Runs the model over a batch of clips as the tracker does, with prompts drawn from the true masks.

    Prompted frames come first and without memory, then the others in order; a corrected frame becomes a conditioning
    frame like a prompted one.

    Args:
        model: the network; in validation, the accelerated one.
        prompting: how objects are prompted.
        weights: of the losses.
        affinity: the affinity loss, where `weights` have one.
        checkpointing: recompute activations in the backward pass. A third slower; memory then grows with the inputs and
            outputs of the model's five functions, not with their activations.
        shared: other processes run the rest of the batch.
        through_memory: losses reach earlier frames through what is remembered of them.
    """

    def __init__(
        self,
        model: SAM2 | Network,
        prompting: Prompting,
        weights: LossWeights = PAPER_LOSSES,
        affinity: Affinity | None = None,
        checkpointing: bool = False,
        shared: bool = False,
        through_memory: bool = True,
    ) -> None:
        super().__init__()
        self.model = model
        self.affinity = affinity
        self.prompting = prompting
        self.weights = weights
        self.checkpointing = checkpointing
        self.shared = shared
        self.through_memory = through_memory

    def forward(self, batch: Batch, seed: int) -> Outcome:
        """Run a batch; all random numbers follow from the seed, which all processes share."""
        model = self.model
        frames = batch.masks.shape[1]
        generator = torch.Generator().manual_seed(seed)
        plan = Plan.draw(self.prompting, frames, generator)
        present = batch.masks.flatten(2).any(dim=2)
        chance, visible_counts, count = self._share(present, generator)
        divisors = visible_counts.clamp(min=1e-3)  # where no object is visible, the dividend is 0

        features = self._encode(batch.normalised.flatten(0, 1))
        targets = coverage(batch.masks)
        affinity = torch.zeros((), device=present.device)
        if self.affinity is not None:
            affinity = self.affinity(features, batch.masks, targets, batch.clip, chance, visible_counts.sum())

        memory = ClipMemory(model.config, frames, plan.ago, self.prompting.forget_absent)
        answers: dict[int, Decoded] = {}
        scored: list[Losses] = []
        order = [*sorted(plan.prompts), *(t for t in range(frames) if t not in plan.prompts)]
        for t in order:
            image, mask, prompt = features[batch.clip * frames + t], batch.masks[:, t], plan.prompts.get(t)
            if prompt is FirstPrompt.MASK:
                answer = self._call(model.decode_mask, image, mask[:, None].float())
            else:
                points = labels = earlier = None
                if prompt is None:
                    conditioned = self._call(model.condition, image, memory.recall(t))
                else:
                    conditioned = model.condition(image, None)
                    draw = prompts.boxes if prompt is FirstPrompt.BOX else prompts.clicks
                    points, labels = draw(mask, chance)
                for attempt in range(1 + plan.corrections.get(t, 0)):
                    if attempt:
                        click, label = prompts.corrections(answer.mask_logits, mask, chance, self.prompting.from_truth)
                        points = click if points is None else torch.cat((points, click), dim=1)
                        labels = label if labels is None else torch.cat((labels, label), dim=1)
                        earlier = mask_input(answer.mask_logits.detach()[:, None])
                    multimask = points is None or points.shape[1] == 1
                    answer = self._call(model.decode, conditioned, image, points, labels, earlier, multimask)
                    truth = targets[:, t], present[:, t]
                    scored.append(self._call(losses, answer, *truth, multimask, self.weights, divisors[t], count))
            answers[t] = answer
            if t != order[-1]:
                prompted = prompt is not None or t in plan.corrections
                remembered = answer if self.through_memory else _detached(answer)
                mask_and_presence = remembered.mask_logits, remembered.presence_logit
                map = self._call(model.encode_memory, image, *mask_and_presence, prompted)
                memory.add(t, map, remembered, prompted, chance)
        in_order = [answers[t] for t in range(frames)]
        return Outcome(
            scored,
            torch.stack([answer.visible_logits.detach() for answer in in_order], dim=1).float(),
            torch.stack([answer.presence_logit.detach() for answer in in_order], dim=1).float(),
            self.weights.affinity * affinity,
        )

    def _share(self, present: Tensor, generator: torch.Generator) -> tuple[Chance, Tensor, Tensor]:
        """Random numbers for these objects; mean numbers per process of visible objects on each frame and of all."""
        objects = len(present)
        counts = torch.cat((present.sum(dim=0), torch.tensor([objects], device=present.device)))[None]
        first, total = 0, objects
        if self.shared:
            counts = all_gather(counts[0])
            everyone = counts[:, -1].tolist()
            first, total = sum(everyone[: rank_and_world()[0]]), sum(everyone)
        means = counts.sum(dim=0) / len(counts)
        return Chance(generator, objects, first, total, present.device), means[:-1], means[-1]

    def _encode(self, images: Tensor) -> ImageFeatures:
        """Encode one image at a time if checkpointing, so that only one image's activations exist at once."""
        if not self.checkpointing:
            return self.model.encode_image(images)
        parts = [self._call(self.model.encode_image, image) for image in images.split(1)]
        return ImageFeatures(
            torch.cat([part.stride4 for part in parts]),
            torch.cat([part.stride8 for part in parts]),
            torch.cat([part.stride16 for part in parts]),
        )

    def _call(self, function: Callable[..., Any], *inputs: Any) -> Any:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(function, *inputs, use_reentrant=False)
        return function(*inputs)


def _detached(decoded: Decoded) -> Decoded:
    return Decoded(*(getattr(decoded, field.name).detach() for field in fields(Decoded)))
