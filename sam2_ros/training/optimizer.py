"""What moves the weights, and how far."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW, Optimizer

from sam2_ros.training.muon import Muon

MUON_RATE = 4.0
"""Muon's learning rate relative to AdamW's."""


@dataclass(frozen=True)
class Learning:
    """Learning rate and all that goes with it."""

    lr: float = 8e-4
    last_lr: float = 0.0
    """Learning rate at the end, relative to `lr`; a cosine leads there."""
    warm_up: int = 100
    """Steps in which the rate grows."""
    encoder_lr: float = 1.0
    """Learning rate of the image encoder, relative to `lr`. 0: it stays as it is, which saves its backward pass."""
    decoder_lr: float = 1.0
    """Likewise, of the prompt encoder and the mask decoder. Where it is small, a click gives what it gave before."""
    layer_decay: float = 1.0
    """Of the encoder's blocks, each learns at so much of the rate of the next; its position embedding, at the full."""
    drop_path: float | None = None
    """Stochastic depth at the encoder's last block. None: the network's own."""
    weight_decay: float = 0.1
    """Of what has more than one dimension; biases, norms and the like have none."""
    beta2: float = 0.98
    """AdamW's memory of squared gradients. Its usual 0.999 takes more steps than a short training has."""
    muon: bool = False
    """Muon for the matrices, which is better from scratch, instead of AdamW for all."""
    clip_gradient: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.995
    """The moving average of the weights keeps so much of itself each step. 0: the average is the latest weights."""
    bf16: bool | None = None
    """Compute in bfloat16 where PyTorch thinks it safe. None: if the device has it; emulated, it is very slow."""
    checkpointing: bool = False
    """Keep less for the backward pass and compute it again: less memory, a third more time."""

    def rate(self, step: int, progress: float) -> float:
        """Learning rate relative to `lr`, 0 .. 1, at a step from 0 on that lies at `progress`, 0 .. 1, of the stage."""
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return min(1, (step + 1) / max(1, self.warm_up)) * (self.last_lr + (1 - self.last_lr) * cosine)


def optimizers(model: nn.Module, learning: Learning) -> list[Optimizer]:
    """AdamW for all parameters, as in the paper; or Muon (Jordan et al. 2024) for the matrices and AdamW for the rest.

    From scratch and in few steps, Muon learns several times as much from the same pictures. Weights that Meta trained
    with AdamW are better refined with AdamW. What has no rate is told not to gather gradients.
    """
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}  # by: Muon, rate, weight decay
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
    found = [int(match[1]) for name in names if (match := _TRUNK.search(name)) and match[1]]
    return 1 + max(found, default=-1)


def _relative_rate(name: str, blocks: int, learning: Learning) -> float:
    """Of a parameter. The last block is one step of decay below what comes after it, the first patches are last."""
    rate = 1.0
    if "image_encoder." in name:
        rate = learning.encoder_lr
    elif "sam_prompt_encoder." in name or "sam_mask_decoder." in name:
        rate = learning.decoder_lr
    if match := _TRUNK.search(name):
        rate *= learning.layer_decay ** (blocks - int(match[1]) if match[1] else blocks + 1)
    return rate


class Schedule:
    """Sets the learning rates of optimizers; at first they are what they are at its height."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self._optimizers = optimizers
        self._rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]

    def set(self, rate: float) -> None:
        """All rates relative to their height."""
        for optimizer, rates in zip(self._optimizers, self._rates, strict=True):
            for group, height in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * height
