"""Memory attention on CPUs: a layer as three kernels and one attention."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.attention import attention
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.cpu.kernels.memory_attention import (
    after_cross_attention,
    before_cross_attention,
    memory_keys,
)
from sam2_ros.acceleration.cpu.kernels.transformer import weights
from sam2_ros.acceleration.cpu.linear import linear
from sam2_ros.model.memory_attention import MemoryAttentionLayer, MemoryTokens

MAX_VALUES = 2**18
"""Values of x up to which the kernels are faster than PyTorch's operations: the keys and values of self-attention then
fit into the L2 cache."""


class CPUMemoryAttentionLayer(MemoryAttentionLayer):
    """Fuses all operations but cross-attention into three kernels, in float32; else a fused ReLU in the MLP."""

    def prepare(self, dtype: torch.dtype) -> None:
        self_attn, cross_attn = self.self_attn, self.cross_attn_image
        projections = (self_attn.q_proj, self_attn.k_proj, self_attn.v_proj, self_attn.out_proj)
        self.before = weights(self.norm1, *projections, self.norm2, cross_attn.q_proj)
        self.after = weights(cross_attn.v_proj, cross_attn.out_proj, self.norm3, self.linear1, self.linear2)
        # The kernels compute in float32; in half precision, PyTorch's operations are faster.
        self.has_kernels = dtype == torch.float32 and has_cpu_kernels(torch.float32)

    def forward(self, x: Tensor, memory: MemoryTokens, rotation: Tensor) -> Tensor:
        if not self.has_kernels or x.shape[1] * x.shape[2] > MAX_VALUES:
            return super().forward(x, memory, rotation)
        k_proj = self.cross_attn_image.k_proj
        x, query = before_cross_attention(x, rotation, self.before, self.norm1.eps)
        key = memory_keys(memory.key, rotation, k_proj.weight, k_proj.bias, memory.pointer_tokens)
        query = query.expand(len(key), -1, -1)
        attended = attention(query[:, None], key[:, None], memory.value[:, None], memory.valid).squeeze(1)
        return after_cross_attention(x, attended, self.after, self.norm3.eps)

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(linear(x, self.linear1.weight, self.linear1.bias, "relu"))
