"""Faster classes that have a backward pass, for training."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cached import MergedSAM2
from sam2_ros.acceleration.channel_norm import MIN_CHANNELS, channel_norm
from sam2_ros.acceleration.twin import Classes, twin_of
from sam2_ros.model.attention import Attention
from sam2_ros.model.attention import attention as plain_attention
from sam2_ros.model.hiera import WindowAttention
from sam2_ros.model.layers import LayerNorm2d
from sam2_ros.model.memory_attention import RotaryAttention
from sam2_ros.model.sam2 import SAM2


def for_training(model: SAM2, dtype: torch.dtype) -> SAM2:
    """Make a network that trains faster on the model's device, in the same mode. Its weights are shared, not copied.

    Args:
        dtype: precision of autocast; float32 without autocast.
    """
    return twin_of(model, CUDA_TRAINING_CLASSES if model.device.type == "cuda" else CPU_TRAINING_CLASSES, dtype).train(
        model.training
    )


def cpu_attention(
    query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """Attention by matrix products in bfloat16, for which PyTorch's kernels are no faster than in float32."""
    if query.dtype != torch.bfloat16 or dropout:
        return plain_attention(query, key, value, valid, dropout)
    scores = query * query.shape[3] ** -0.5 @ key.transpose(2, 3)
    if valid is not None:
        ignored = torch.zeros(valid.shape, dtype=scores.dtype).masked_fill(~valid, -torch.inf)
        scores = scores + ignored[:, None, None]
    return torch.softmax(scores, dim=-1, dtype=scores.dtype) @ value


class CPUTrainingAttention(Attention):
    """Attention by matrix products in bfloat16."""

    attention = staticmethod(cpu_attention)


class CPUTrainingRotaryAttention(RotaryAttention):
    """Attention by matrix products in bfloat16."""

    attention = staticmethod(cpu_attention)


class CPUTrainingWindowAttention(WindowAttention):
    """Attention by matrix products in bfloat16."""

    attention = staticmethod(cpu_attention)


class CUDATrainingLayerNorm2d(LayerNorm2d):
    """Computes the norm of few channels by reductions over maps, without a thread block for each pixel."""

    @staticmethod
    def fits(module: LayerNorm2d, dtype: torch.dtype) -> bool:
        return module.normalized_shape[0] < MIN_CHANNELS

    def forward(self, x: Tensor) -> Tensor:
        return channel_norm(self, x)


CPU_TRAINING_CLASSES: Classes = {
    SAM2: MergedSAM2,
    Attention: CPUTrainingAttention,
    RotaryAttention: CPUTrainingRotaryAttention,
    WindowAttention: CPUTrainingWindowAttention,
}
CUDA_TRAINING_CLASSES: Classes = {SAM2: MergedSAM2, LayerNorm2d: CUDATrainingLayerNorm2d}
