"""What moves the weights."""

from __future__ import annotations

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

MUON_RATE = 4.0
"""Muon's learning rate relative to AdamW's."""


def optimizers(model: nn.Module, lr: float, weight_decay: float, muon: bool) -> list[Optimizer]:
    """AdamW for all parameters, as in the paper; or Muon (Jordan et al. 2024) for the matrices and AdamW for the rest.

    From scratch and in few steps, Muon learns several times as much from the same pictures. Weights that Meta trained
    with AdamW are better refined with AdamW.

    Args:
        weight_decay: of parameters with more than one dimension; biases, norms and the like have none.
    """
    matrices = [p for p in model.parameters() if muon and p.dim() == 2 and min(p.shape) > 8]
    taken = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in taken]
    groups = [
        {"params": [p for p in others if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in others if p.dim() <= 1], "weight_decay": 0.0},
    ]
    made: list[Optimizer] = [AdamW(groups, lr=lr, betas=(0.9, 0.98))]
    if matrices:
        rate = lr * MUON_RATE
        made.append(Muon(matrices, lr=rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))
    return made
