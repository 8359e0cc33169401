"""Linear layers and 1x1 convolutions on CPUs, by oneDNN's matrix product where it is faster than PyTorch's choice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.layers import MLP

ONEDNN = hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.backends.cpu.get_cpu_capability() == "AVX512"
"""Whether oneDNN's product is faster than MKL's, which `F.linear` uses. With AVX2 only it is not (docs/speed.md)."""

MIN_ONEDNN_RESULTS = 2**16
"""Output values from which oneDNN's product is faster."""


def linear(x: Tensor, weight: Tensor, bias: Tensor, activation: str = "none") -> Tensor:
    """Linear layer and activation, "none", "relu" or "gelu", fused by oneDNN: [..., C], [D, C], [D] -> [..., D]."""
    if ONEDNN and x.numel() // x.shape[-1] * weight.shape[0] >= MIN_ONEDNN_RESULTS:
        autocast = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if autocast else x.dtype
        if dtype in (torch.float32, torch.bfloat16):
            if autocast:
                x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
            algorithm = "none" if activation == "gelu" else ""
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], algorithm)
    x = F.linear(x, weight, bias)
    return x if activation == "none" else getattr(F, activation)(x)


class CPULinear(nn.Linear):
    """Uses oneDNN's matrix product where it is faster."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class CPUMLP(MLP):
    """Fuses each hidden layer with its activation, in oneDNN."""

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = linear(x, layer.weight, layer.bias, self.activation)
        return self.layers[-1](x)


class CPUPointwise(nn.Conv2d):
    """Computes a 1x1 convolution as a matrix product, which is faster, most of all with channels last in memory."""

    @staticmethod
    def fits(module: nn.Conv2d, dtype: torch.dtype) -> bool:
        return module.kernel_size == (1, 1) and module.stride == (1, 1) and module.groups == 1

    def forward(self, x: Tensor) -> Tensor:
        return linear(x.movedim(1, -1), self.weight.flatten(1), self.bias).movedim(-1, 1)
