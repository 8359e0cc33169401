"""Linear layers and 1x1 convolutions on CUDA: weights are rounded once, and activations are fused into the product."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.acceleration.cuda.kernels.fused_linear import fused_linear
from sam2_ros.acceleration.cuda.probe import autocast_dtype, triton_works
from sam2_ros.model.layers import MLP


class CUDALinear(nn.Linear):
    def prepare(self, dtype: torch.dtype) -> None:
        self.rounded_weight, self.rounded_bias = rounded(self.weight, self.bias, dtype)
        self.has_kernel = triton_works(self.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        if (dtype := autocast_dtype(x)) is None:
            return F.linear(x, self.weight, self.bias)
        return F.linear(x.to(dtype), self.rounded_weight, self.rounded_bias)

    def activated(self, x: Tensor, activation: str) -> Tensor:
        """The layer followed by "relu" or "gelu"."""
        if (dtype := autocast_dtype(x)) is not None:
            x = x.to(dtype)
            if activation == "relu":
                y = torch._addmm_activation(self.rounded_bias, x.flatten(0, -2), self.rounded_weight.T)
                return y.view(*x.shape[:-1], -1)
            if activation == "gelu" and self.has_kernel:
                return fused_linear(x.contiguous(), self.rounded_weight, self.rounded_bias, gelu=True)
        return getattr(F, activation)(self(x))


class CUDAMLP(MLP):
    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer.activated(x, self.activation)
        return self.layers[-1](x)


class CUDAPointwise(nn.Conv2d):
    """A 1x1 convolution as a matrix product, which is faster, especially for maps with channels last in memory."""

    @staticmethod
    def fits(module: nn.Conv2d, dtype: torch.dtype) -> bool:
        return module.kernel_size == (1, 1) and module.stride == (1, 1) and module.groups == 1

    def prepare(self, dtype: torch.dtype) -> None:
        self.rounded_weight, self.rounded_bias = rounded(self.weight.flatten(1), self.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1)
        if (dtype := autocast_dtype(x)) is None:
            return F.linear(x, self.weight.flatten(1), self.bias).movedim(-1, 1)
        return F.linear(x.to(dtype), self.rounded_weight, self.rounded_bias).movedim(-1, 1)


def rounded(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight and bias in the precision of the computation, as autocast would round them at every call."""
    return weight.detach().to(dtype), bias.detach().to(dtype)
