"""Muon (Jordan et al. 2024): an optimizer of matrices whose updates are orthogonalised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from sam2_ros.training import bfloat16

A, B, C = 3.4445, -4.7750, 2.0315
"""Coefficients of the quintic polynomial that moves singular values towards 1 (Jordan et al. 2024)."""
ITERATIONS = 5


class Muon(Optimizer):
    """Muon with Nesterov momentum and AdamW's weight decay, scaled to AdamW's learning rate (Liu et al. 2025).

    PyTorch's own always iterates in bfloat16; emulated, that took four times as long as the rest of a training step.
    Here matrices of one shape are batched, in float32 where the device has no native bfloat16.

    Args:
        groups: parameter groups of matrices, each with its `lr` and `weight_decay`.
        momentum: decay of the mean gradient.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], momentum: float = 0.95) -> None:
        super().__init__(groups, {"lr": 1e-3, "weight_decay": 0.1, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all matrices that have a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape[matrix.shape].append(matrix)
            for shape, matrices in by_shape.items():
                scale = 0.2 * max(shape) ** 0.5  # the size of AdamW's steps
                for matrix, direction in zip(matrices, self._directions(matrices, group["momentum"]), strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(direction, alpha=-group["lr"] * scale)

    def _directions(self, matrices: list[Tensor], momentum: float) -> Tensor:
        """Update directions of M matrices of one shape: [M, rows, columns]."""
        ahead = []
        for matrix in matrices:
            assert matrix.grad is not None
            state = self.state[matrix]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(matrix)
            mean = state["momentum_buffer"].lerp_(matrix.grad, 1 - momentum)
            ahead.append(matrix.grad.lerp(mean, momentum))
        return orthogonalised(torch.stack(ahead))


def orthogonalised(matrices: Tensor) -> Tensor:
    """Orthogonalise matrices by Newton-Schulz iteration: [M, r, c] -> [M, r, c].

    Singular vectors stay about the same; singular values end between 0.7 and 1.2, close enough to 1.
    """
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    x = wide.bfloat16() if bfloat16.is_native(matrices.device) else wide.float()
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    x = x.to(matrices.dtype)
    return x.mT if wide is not matrices else x
