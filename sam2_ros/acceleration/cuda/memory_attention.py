"""Memory attention on CUDA, in half precision: sums and the norms after them take one pass over memory."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cached import CachedMemoryAttention
from sam2_ros.acceleration.cuda.layers import add_and_norm
from sam2_ros.acceleration.cuda.probe import autocast_dtype, triton_works
from sam2_ros.model.memory_attention import MemoryAttentionLayer, MemoryTokens


class CUDAMemoryAttentionLayer(MemoryAttentionLayer):
    def change(
        self, x: Tensor, added: Tensor | None, memory: MemoryTokens, rotation: Tensor, half: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """The layer without its last sum, which belongs to the next norm.

        Args:
            x: [N or 1, h * w, dim]; it may be overwritten.
            added: pending summand of x; None: nothing.
            half: the precision of norms.

        Returns:
            x and its pending summand, [N, h * w, dim].
        """
        x, y = add_and_norm(x, added, self.norm1, half)
        x, y = add_and_norm(x, self.self_attn(y, MemoryTokens(y, y, pointer_tokens=0), rotation), self.norm2, half)
        x, y = add_and_norm(x, self.cross_attn_image(y, memory, rotation), self.norm3, half)
        return x, self.feed_forward(y)

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.linear1.activated(x, "relu"))


class CUDAMemoryAttention(CachedMemoryAttention):
    def prepare(self, dtype: torch.dtype) -> None:
        super().prepare(dtype)
        self.has_kernels = triton_works(self.norm.weight.device)

    def forward(self, features: Tensor, position: Tensor, memory: MemoryTokens) -> Tensor:
        half = autocast_dtype(features)
        if half is None or not self.has_kernels:
            return super().forward(features, position, memory)
        grid = features.shape[2:]
        rotation = self.rotation(*grid)
        x, added = (features + 0.1 * position).flatten(2).transpose(1, 2), None
        for layer in self.layers:
            x, added = layer.change(x, added, memory, rotation, half)
        _, conditioned = add_and_norm(x, added, self.norm, x.dtype)
        return conditioned.transpose(1, 2).unflatten(2, grid)
