"""Optimizers, and the learning rate of every parameter at every step."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW, Optimizer

from sam2_ros.training.muon import Muon
from sam2_ros.training.settings import Index, NonNegative, Share

MUON_RATE = 4.0
"""Muon's learning rate relative to AdamW's."""


@dataclass(frozen=True)
class Learning:
    """Learning rates and other settings of the optimizer."""

    lr: NonNegative = 8e-4
    last_lr: Share = 0.0
    """Learning rate at the end of the stage, relative to `lr`; a cosine leads there."""
    warm_up: Index = 100
    """Steps in which the learning rate rises linearly."""
    encoder_lr: NonNegative = 1.0
    """Learning rate of the image encoder, relative to `lr`. 0 freezes it, which saves its backward pass."""
    decoder_lr: NonNegative = 1.0
    """Learning rate of the prompt encoder and the mask decoder, relative to `lr`. Small values preserve the masks that
    a click gives."""
    memory_lr: NonNegative = 1.0
    """Learning rate of memory attention, the memory encoder and object pointers, relative to `lr`. 0 freezes them, and
    no frame's loss then reaches earlier frames."""
    layer_decay: Share = 1.0
    """Learning rate of each of the encoder's blocks relative to the next one. The position embedding has the full
    one."""
    drop_path: Share | None = None
    """Stochastic depth at the encoder's last block. None: the model's own."""
    weight_decay: NonNegative = 0.1
    """Weight decay of parameters with two dimensions or more; biases and norms have none."""
    beta2: Share = 0.98
    """AdamW's decay of squared gradients. Its usual 0.999 takes more steps than a short training has."""
    muon: bool = False
    """Use Muon for matrices instead of AdamW, which is better from random weights."""
    clip_gradient: NonNegative = 1.0
    """Maximum norm of the gradient."""
    ema: Share = 0.995
    """Decay of the moving average of the weights. 0: the average is the latest weights."""
    bf16: bool | None = None
    """Compute in bfloat16 where PyTorch's autocast does. None: if the device has it natively; emulation is slow."""
    checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third more time."""

    def rate(self, step: int, progress: float) -> float:
        """Learning rate relative to `lr`, 0 .. 1, at a step (from 0 on) and a progress of the stage (0 .. 1)."""
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return min(1, (step + 1) / max(1, self.warm_up)) * (self.last_lr + (1 - self.last_lr) * cosine)


def optimizers(model: nn.Module, learning: Learning) -> list[Optimizer]:
    """AdamW for all parameters, as in the paper; or Muon (Jordan et al. 2024) for matrices and AdamW for the rest.

    From random weights and in few steps, Muon learns several times as much from the same images. Weights that Meta
    trained with AdamW are better fine-tuned with AdamW. Parameters whose learning rate is 0 are frozen.
    """
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}  # by Muon, learning rate, weight decay
    blocks = _encoder_blocks(name for name, _ in model.named_parameters())
    for name, parameter in model.named_parameters():
        matrix = learning.muon and parameter.dim() == 2 and min(parameter.shape) > 8
        rate = learning.lr * (MUON_RATE if matrix else 1) * _relative_rate(name, blocks, learning)
        if rate == 0:
            parameter.requires_grad_(False)
            continue
        decay = learning.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((matrix, rate, decay), []).append(parameter)

    def of(muon: bool) -> list[dict]:
        return [
            {"params": parameters, "lr": rate, "weight_decay": decay}
            for (matrix, rate, decay), parameters in groups.items()
            if matrix == muon
        ]

    made: list[Optimizer] = [AdamW(of(False), betas=(0.9, learning.beta2))]
    if matrices := of(True):
        made.append(Muon(matrices))
    return made


_TRUNK = re.compile(r"image_encoder\.trunk\.(?:blocks\.(\d+)|patch_embed)\.")


def _encoder_blocks(names) -> int:
    blocks = [int(match[1]) for name in names if (match := _TRUNK.search(name)) and match[1]]
    return 1 + max(blocks, default=-1)


def _relative_rate(name: str, blocks: int, learning: Learning) -> float:
    """Learning rate of a parameter relative to `lr`. Layer decay counts from what follows the last block."""
    rate = 1.0
    if "image_encoder." in name:
        rate = learning.encoder_lr
    elif "sam_prompt_encoder." in name or "sam_mask_decoder." in name:
        rate = learning.decoder_lr
    elif "affinity." not in name:
        rate = learning.memory_lr
    if match := _TRUNK.search(name):
        rate *= learning.layer_decay ** (blocks - int(match[1]) if match[1] else blocks + 1)
    return rate


class Schedule:
    """Scales the learning rates of optimizers; their initial ones are the peaks."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self._optimizers = optimizers
        self._rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]

    def set(self, rate: float) -> None:
        """Set all learning rates relative to their peaks."""
        for optimizer, rates in zip(self._optimizers, self._rates, strict=True):
            for group, peak in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * peak
