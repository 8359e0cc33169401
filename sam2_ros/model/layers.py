"""Layers shared by several parts of the network."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def in_float32(x: Tensor) -> torch.autocast:
    """Disable autocast on the device of x, for layers whose rounding to half precision would decide a result."""
    return torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False)  # the meta device has no autocast


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of a [B, C, H, W] map."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class MLP(nn.Module):
    """Linear layers with one hidden width and an activation, "relu" or "gelu", between them."""

    def __init__(self, dim: int, hidden: int, out: int, layers: int, activation: str = "relu") -> None:
        super().__init__()
        widths = [dim] + [hidden] * (layers - 1) + [out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] -> [..., out]."""
        for layer in self.layers[:-1]:
            x = getattr(F, self.activation)(layer(x))
        return self.layers[-1](x)
