"""The image encoder on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cached import CachedHiera
from sam2_ros.acceleration.cpu.kernels.hiera_block import hiera_block
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.cpu.kernels.patch_embedding import patch_embedding
from sam2_ros.acceleration.cpu.kernels.transformer import weights
from sam2_ros.model.hiera import Block

MAX_CHANNELS = 256
"""Output channels up to which our kernel is faster than PyTorch's operations."""

MIN_WINDOW_TOKENS = 32
"""Tokens of a window from which our kernel is faster than PyTorch's operations."""

MAX_FLOAT32_VALUES = 2**20
"""Values of a map up to which our kernel, in float32, is faster than PyTorch's bfloat16 with AMX."""


class CPUHiera(CachedHiera):
    """Fuses patch and position embedding into one kernel."""

    def prepare(self, dtype: torch.dtype) -> None:
        super().prepare(dtype)
        self.has_kernel = has_cpu_kernels(torch.float32)

    def embed(self, image: Tensor) -> Tensor:
        if not self.has_kernel:
            return super().embed(image)
        proj = self.patch_embed.proj
        position = self.position(image.shape[2] // 4, image.shape[3] // 4)
        return patch_embedding(image, proj.weight, proj.bias, position)


class CPUBlock(Block):
    """Fuses a block into one kernel. It computes in float32 even under autocast, which is as fast."""

    @staticmethod
    def fits(module: Block, dtype: torch.dtype) -> bool:
        few_channels = module.attn.proj.out_features <= MAX_CHANNELS
        many_tokens = not module.window or module.window**2 >= MIN_WINDOW_TOKENS
        even = not module.pool or module.window % 2 == 0  # pooling drops odd rows
        projected = module.pool == hasattr(module, "proj")
        return few_channels and many_tokens and even and projected and has_cpu_kernels(torch.float32)

    def prepare(self, dtype: torch.dtype) -> None:
        shortcut = [self.proj] if self.pool else []
        layers = (self.norm1, self.attn.qkv, self.attn.proj, *shortcut, self.norm2, *self.mlp.layers)
        self.weights = weights(*layers)
        self.max_values = MAX_FLOAT32_VALUES if dtype != torch.float32 and has_cpu_kernels(torch.bfloat16) else None

    def forward(self, x: Tensor) -> Tensor:
        odd = self.pool and (x.shape[1] % 2 or x.shape[2] % 2)
        large = self.max_values is not None and x.numel() > self.max_values
        if odd or large or x.dtype != torch.float32:
            return super().forward(x)
        return hiera_block(x, self.weights, self.attn.heads, self.window, self.norm1.eps)
