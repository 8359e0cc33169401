"""Layer norms on CUDA, fused with the sums before them and GELU after them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.acceleration.channel_norm import MIN_CHANNELS
from sam2_ros.acceleration.channel_norm import channel_norm as channel_norm_by_formula
from sam2_ros.acceleration.cuda.kernels.channel_norm import channel_norm
from sam2_ros.acceleration.cuda.kernels.layer_norm import layer_norm
from sam2_ros.acceleration.cuda.probe import suits_triton
from sam2_ros.model.layers import LayerNorm2d


class CUDALayerNorm2d(LayerNorm2d):
    def prepare(self, dtype: torch.dtype) -> None:
        self.has_kernel = suits_triton(self.weight.device, *self.normalized_shape)

    def forward(self, x: Tensor) -> Tensor:
        if self.has_kernel:
            return channel_norm(x, self.weight, self.bias, self.eps, gelu=False)
        return channel_norm_by_formula(self, x) if x.shape[1] < MIN_CHANNELS else super().forward(x)

    def with_gelu(self, x: Tensor) -> Tensor:
        """The norm followed by GELU."""
        if self.has_kernel:
            return channel_norm(x, self.weight, self.bias, self.eps, gelu=True)
        return F.gelu(self(x))


def norm_of_sum(x: Tensor, change: Tensor, norm: nn.LayerNorm) -> Tensor:
    """norm(x + change) in one pass over memory, of x's shape and dtype; the change may be overwritten."""
    return layer_norm(change.contiguous(), norm.weight, norm.bias, norm.eps, x.dtype, add=x.contiguous())


def add_and_norm(x: Tensor, added: Tensor | None, norm: nn.LayerNorm, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """x + added, and the layer norm of this sum, in one pass over memory.

    Args:
        x: [N or 1, ..., C]; it may be overwritten.
        added: [N, ..., C]; None: nothing.
        dtype: of the norm.

    Returns:
        The sum, of x's dtype, and the norm.
    """
    if added is not None and added.shape != x.shape:  # the first that is not the same for all objects
        x, added = x + added, None
    x = x.contiguous()
    return x, layer_norm(x, norm.weight, norm.bias, norm.eps, dtype, added)
