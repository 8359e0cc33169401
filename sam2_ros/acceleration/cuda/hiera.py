"""The image encoder on CUDA.

In half precision, rounding, partitioning into windows and its inverse, GELU and sums are fused into the products, and
take no passes over memory of their own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam2_ros.acceleration.cached import CachedHiera
from sam2_ros.acceleration.cuda.kernels.fused_linear import fused_linear
from sam2_ros.acceleration.cuda.kernels.layer_norm import layer_norm
from sam2_ros.acceleration.cuda.kernels.patch_embedding import packed, patch_embedding
from sam2_ros.acceleration.cuda.kernels.pooled_linear import pooled_linear
from sam2_ros.acceleration.cuda.linear import CUDALinear
from sam2_ros.acceleration.cuda.probe import autocast_dtype, triton_works
from sam2_ros.model.hiera import Block


class CUDAHiera(CachedHiera):
    """Patches and their positions in one kernel, in half precision; the output is float32."""

    def prepare(self, dtype: torch.dtype) -> None:
        super().prepare(dtype)
        self.has_kernel = triton_works(self.pos_embed.device)
        self.patch_weight = packed(self.patch_embed.proj.weight)

    def embed(self, image: Tensor) -> Tensor:
        if not self.has_kernel or autocast_dtype(image) is None:
            return super().embed(image)
        position = self.position(image.shape[2] // 4, image.shape[3] // 4)
        return patch_embedding(image.contiguous(), self.patch_weight, self.patch_embed.proj.bias, position)


class CUDABlock(Block):
    """A block in seven kernels, in half precision; the residual stream stays in float32."""

    @staticmethod
    def fits(module: Block, dtype: torch.dtype) -> bool:
        return module.pool == hasattr(module, "proj") and triton_works(module.norm1.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        half = autocast_dtype(x)
        if half is None:
            return super().forward(x)
        shortcut = x = x.contiguous()
        if self.pool:  # and then channels are widened, too
            shortcut = pooled_linear(_norm(x, self.norm1, x.dtype), self.proj.weight, self.proj.bias)
        x = self.attn.attend(self.attn.qkv(_norm(x, self.norm1, half, self.window)))
        x = _linear(x, self.attn.proj, residual=shortcut, window=x.shape[1] if self.window else 0)
        up, down = self.mlp.layers
        return _linear(_linear(_norm(x, self.norm2, half), up, gelu=True), down, residual=x)


def _norm(x: Tensor, norm: nn.LayerNorm, dtype: torch.dtype, window: int = 0) -> Tensor:
    return layer_norm(x, norm.weight, norm.bias, norm.eps, dtype, window=window)


def _linear(
    x: Tensor, layer: CUDALinear, gelu: bool = False, residual: Tensor | None = None, window: int = 0
) -> Tensor:
    return fused_linear(x, layer.rounded_weight, layer.bias, gelu, residual, window)
