"""The whole network on CUDA."""

from __future__ import annotations

import torch

from sam2_ros.acceleration.cached import CachedSAM2
from sam2_ros.acceleration.cuda.kernels.memory_tokens import memory_tokens
from sam2_ros.acceleration.cuda.memory_tokens import CountedTokens
from sam2_ros.acceleration.cuda.probe import autocast_dtype, suits_triton
from sam2_ros.model.memory_attention import MemoryTokens
from sam2_ros.model.sam2 import Memories

MIN_CHANNELS, MAX_CHANNELS = 16, 128
"""Range of a memory's channels in our kernels: bounded by tensor cores below, and by shared memory above."""


class CUDASAM2(CachedSAM2):
    def prepare(self, dtype: torch.dtype) -> None:
        super().prepare(dtype)
        channels, dim = self.config.memory_dim, self.config.dim
        self.has_kernels = MIN_CHANNELS <= channels <= MAX_CHANNELS and suits_triton(self.device, channels, dim)

    def memory_tokens(self, memories: Memories) -> MemoryTokens:
        if not self.has_kernels or memories.maps.dtype != autocast_dtype(memories.maps):
            return super().memory_tokens(memories)
        c, h, w = memories.maps.shape[2:]
        value, key, counts = memory_tokens(
            *(memories.maps, memories.map_age, memories.map_valid, memories.pointers, memories.pointer_valid),
            *(self.position(h, w, c), self.maskmem_tpos_enc.flatten(1), self.pointer_position(memories)),
        )
        pointers = memories.pointers.shape[1] * self.config.dim // c  # tokens of all pointers
        return CountedTokens(value, key, pointers, counts=counts)
