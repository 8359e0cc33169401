"""Memory attention on CPUs: all of a layer but attention to memory itself in three kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.attention import attention
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.cpu.kernels.memory_attention import after_memory, attend_within, keys_of_memory
from sam2_ros.acceleration.cpu.kernels.transformer import weights
from sam2_ros.acceleration.cpu.linear import linear
from sam2_ros.model.memory_attention import MemoryAttentionLayer, MemoryTokens

MAX_VALUES = 2**18
"""Values of x up to which the kernels are faster than PyTorch's operations: keys and values of an image, which each
group of queries reads, then fit into the second cache."""


class CPUMemoryAttentionLayer(MemoryAttentionLayer):
    def prepare(self, dtype: torch.dtype) -> None:
        within, across = self.self_attn, self.cross_attn_image
        self.before = weights(
            *(self.norm1, within.q_proj, within.k_proj, within.v_proj, within.out_proj, self.norm2, across.q_proj)
        )
        self.after = weights(across.v_proj, across.out_proj, self.norm3, self.linear1, self.linear2)
        # In half precision, attention to memory is faster than the kernels around it.
        self.has_kernels = dtype == torch.float32 and has_cpu_kernels(torch.float32)

    def forward(self, x: Tensor, memory: MemoryTokens, rotation: Tensor) -> Tensor:
        if not self.has_kernels or x.shape[1] * x.shape[2] > MAX_VALUES:
            return super().forward(x, memory, rotation)
        k_proj = self.cross_attn_image.k_proj
        x, query = attend_within(x, rotation, self.before, self.norm1.eps)
        key = keys_of_memory(memory.key, rotation, k_proj.weight, k_proj.bias, memory.pointers)
        query = query.expand(len(key), -1, -1)
        attended = attention(query[:, None], key[:, None], memory.value[:, None], memory.valid).squeeze(1)
        return after_memory(x, attended, self.after, self.norm3.eps)

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(linear(x, self.linear1.weight, self.linear1.bias, "relu"))
