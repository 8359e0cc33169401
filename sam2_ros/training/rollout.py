"""The network over a training clip, frame by frame, as the tracker runs it.

What the network is shown of its past is decided by the tracker's own memory bank, so that training and use agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sam2_ros.acceleration import Network
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures
from sam2_ros.tracking.pixels import EARLIER_LOGITS_LIMIT
from sam2_ros.training import prompts
from sam2_ros.training.affinity import Affinity
from sam2_ros.training.clip_memory import ClipMemory
from sam2_ros.training.losses import PAPER_WEIGHTS, Losses, Weights, coverage, losses
from sam2_ros.training.plan import FirstPrompt, Plan, Prompting
from sam2_ros.training.processes import rank_and_world, side_by_side
from sam2_ros.training.prompts import Chance
from sam2_ros.training.samples import Batch


@dataclass(frozen=True)
class Outcome:
    """What came out of a rollout."""

    losses: list[Losses]
    """Of every answer of the decoder."""
    logits: Tensor
    """Last answer on each frame, also where the object is said to be absent: float32 [O, T, H / 4, W / 4]."""
    presence_logit: Tensor
    """float32 [O, T]."""
    affinity: Tensor
    """Weighted loss of the encoder alone, a scalar."""

    @property
    def total(self) -> Tensor:
        """Mean weighted loss."""
        return torch.stack([entry.total for entry in self.losses]).mean() + self.affinity


class Rollout(nn.Module):
    """Runs the network over a batch of clips as the tracker does, with prompts drawn from the true masks.

    First prompted frames come first and without memory, then the others in order; a frame that is corrected becomes a
    prompted one, a conditioning frame.

    Args:
        model: the network; in validation, the accelerated one.
        prompting: how objects are prompted.
        weights: of the losses.
        affinity: what compares pixels, when `weights` ask for it.
        checkpointing: keep less for the backward pass and compute it again there. A third slower; memory then grows
            with what enters and leaves the network's five functions, not with what happens inside.
        shared: other processes run the rest of the batch at the same time.
    """

    def __init__(
        self,
        model: SAM2 | Network,
        prompting: Prompting,
        weights: Weights = PAPER_WEIGHTS,
        affinity: Affinity | None = None,
        checkpointing: bool = False,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.affinity = affinity
        self.prompting = prompting
        self.weights = weights
        self.checkpointing = checkpointing
        self.shared = shared

    def forward(self, batch: Batch, seed: int) -> Outcome:
        """Everything that is drawn comes from the seed, which all processes share."""
        model = self.model
        frames = batch.masks.shape[1]
        generator = torch.Generator().manual_seed(seed)
        plan = Plan.draw(self.prompting, frames, generator)
        present = batch.masks.flatten(2).any(dim=2)
        chance, visible_counts, count = self._share(present, generator)
        divisors = visible_counts.clamp(min=1e-3)  # where nothing is visible, zero is divided

        features = self._encode(batch.normalised.flatten(0, 1))
        targets = coverage(batch.masks)
        alike = torch.zeros((), device=present.device)
        if self.affinity is not None:
            alike = self.affinity(features, batch.masks, targets, batch.clip, chance, visible_counts.sum())

        memory = ClipMemory(model.config, frames, plan.ago, self.prompting.forgotten)
        answers: dict[int, Decoded] = {}
        scored: list[Losses] = []
        order = [*sorted(plan.prompts), *(t for t in range(frames) if t not in plan.prompts)]
        for t in order:
            seen, mask, prompt = features[batch.clip * frames + t], batch.masks[:, t], plan.prompts.get(t)
            if prompt is FirstPrompt.MASK:
                answer = self._call(model.decode_mask, seen, mask[:, None].float())
            else:
                points = labels = earlier = None
                if prompt is None:
                    conditioned = self._call(model.condition, seen, memory.recall(t))
                else:
                    conditioned = model.condition(seen, None)
                    draw = prompts.boxes if prompt is FirstPrompt.BOX else prompts.clicks
                    points, labels = draw(mask, chance)
                for attempt in range(1 + plan.corrections.get(t, 0)):
                    if attempt:
                        click, label = prompts.corrections(answer.mask_logits, mask, chance, self.prompting.from_truth)
                        points = click if points is None else torch.cat((points, click), dim=1)
                        labels = label if labels is None else torch.cat((labels, label), dim=1)
                        earlier = answer.mask_logits.detach()[:, None].clamp(
                            -EARLIER_LOGITS_LIMIT, EARLIER_LOGITS_LIMIT
                        )
                    multimask = points is None or points.shape[1] == 1
                    answer = self._call(model.decode, conditioned, seen, points, labels, earlier, multimask)
                    there = targets[:, t], present[:, t]
                    scored.append(self._call(losses, answer, *there, multimask, self.weights, divisors[t], count))
            answers[t] = answer
            if t != order[-1]:
                prompted = prompt is not None or t in plan.corrections
                map = self._call(model.encode_memory, seen, answer.mask_logits, answer.presence_logit, prompted)
                memory.remember(t, map, answer, prompted, chance)
        in_order = [answers[t] for t in range(frames)]
        return Outcome(
            scored,
            torch.stack([answer.visible_logits.detach() for answer in in_order], dim=1).float(),
            torch.stack([answer.presence_logit.detach() for answer in in_order], dim=1).float(),
            self.weights.affinity * alike,
        )

    def _share(self, present: Tensor, generator: torch.Generator) -> tuple[Chance, Tensor, Tensor]:
        """Chance for the objects at hand; mean numbers, over processes, of visible objects on each frame and of all."""
        objects = len(present)
        counts = torch.cat((present.sum(dim=0), torch.tensor([objects], device=present.device)))[None]
        first, total = 0, objects
        if self.shared:
            counts = side_by_side(counts[0])
            everyone = counts[:, -1].tolist()
            first, total = sum(everyone[: rank_and_world()[0]]), sum(everyone)
        means = counts.sum(dim=0) / len(counts)
        return Chance(generator, objects, first, total, present.device), means[:-1], means[-1]

    def _encode(self, images: Tensor) -> ImageFeatures:
        """One image at a time where memory is short, since all that happens inside is there again in turn."""
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
