"""Faster classes that have a backward pass, for training."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.channel_norm import MIN_CHANNELS, channel_norm
from sam2_ros.acceleration.twin import Classes, twin_of
from sam2_ros.model.attention import Attention
from sam2_ros.model.attention import attention as plain_attention
from sam2_ros.model.hiera import WindowAttention
from sam2_ros.model.layers import LayerNorm2d
from sam2_ros.model.memory_attention import RotaryAttention
from sam2_ros.model.sam2 import SAM2

MAX_SCORES = 2**18
"""Maximum number of scores of one head that are stored for the backward pass: 512 KB in bfloat16."""


def for_training(model: SAM2, dtype: torch.dtype) -> SAM2:
    """The same network, faster to train on this machine. It shares the model's weights and mode.

    Args:
        dtype: the precision of autocast; float32 without autocast.
    """
    return twin_of(model, CUDA_CLASSES if model.device.type == "cuda" else CPU_CLASSES, dtype).train(model.training)


def cpu_attention(
    query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """Attention by plain matrix products: PyTorch's flash kernel computes bfloat16 no faster than float32."""
    if query.dtype != torch.bfloat16 or valid is not None or dropout or query.shape[2] * key.shape[2] > MAX_SCORES:
        return plain_attention(query, key, value, valid, dropout)
    scores = query * query.shape[3] ** -0.5 @ key.transpose(2, 3)
    return torch.softmax(scores, dim=-1).to(value.dtype) @ value


class CPUTrainingAttention(Attention):
    attention = staticmethod(cpu_attention)


class CPUTrainingRotaryAttention(RotaryAttention):
    attention = staticmethod(cpu_attention)


class CPUTrainingWindowAttention(WindowAttention):
    attention = staticmethod(cpu_attention)


class CUDATrainingLayerNorm2d(LayerNorm2d):
    """Layer norm by `channel_norm` where there are few channels."""

    @staticmethod
    def fits(module: LayerNorm2d, dtype: torch.dtype) -> bool:
        return module.normalized_shape[0] < MIN_CHANNELS

    def forward(self, x: Tensor) -> Tensor:
        return channel_norm(self, x)


CPU_CLASSES: Classes = {
    Attention: CPUTrainingAttention,
    RotaryAttention: CPUTrainingRotaryAttention,
    WindowAttention: CPUTrainingWindowAttention,
}
CUDA_CLASSES: Classes = {LayerNorm2d: CUDATrainingLayerNorm2d}
