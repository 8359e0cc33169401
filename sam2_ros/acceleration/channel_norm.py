"""Layer norm over the few channels of a large map, by its formula.

PyTorch's kernel for GPUs takes a block of threads for every pixel, however few channels there are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.model.layers import LayerNorm2d

MIN_CHANNELS = 32
"""Channels from which on PyTorch's kernel is the faster one."""


def channel_norm(norm: LayerNorm2d, x: Tensor) -> Tensor:
    """Equals `norm(x)`: [B, C, H, W] -> the same shape, float32."""
    x = x.float()
    variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
    return (x - mean) * (variance + norm.eps).rsqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]
