"""The memory encoder on CPUs, as one kernel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.cpu.kernels.memory_encoder import encode_memory
from sam2_ros.acceleration.cpu.kernels.transformer import weights
from sam2_ros.acceleration.cpu.linear import linear
from sam2_ros.model.memory_encoder import FuserBlock, MemoryEncoder

MAX_CHANNELS = 128
"""Channels up to which our kernel, in float32, is faster than PyTorch's bfloat16 with AMX."""


class CPUFuserBlock(FuserBlock):
    """Fuses the first pointwise layer with its GELU, in oneDNN."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x)).movedim(1, -1)
        y = self.gamma * self.pwconv2(linear(y, self.pwconv1.weight, self.pwconv1.bias, "gelu"))
        return x + y.movedim(-1, 1)


class CPUMemoryEncoder(MemoryEncoder):
    """Fuses the memory encoder into one kernel, which keeps the upsampled mask out of memory."""

    @staticmethod
    def fits(module: MemoryEncoder, dtype: torch.dtype) -> bool:
        if dtype != torch.float32 and has_cpu_kernels(torch.bfloat16):
            return module.out_proj.in_channels <= MAX_CHANNELS
        return has_cpu_kernels(torch.float32)

    def prepare(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        layers = [layer for layer in self.mask_downsampler.encoder if not isinstance(layer, nn.GELU)]
        layers.append(self.pix_feat_proj)
        for block in self.fuser.layers:
            layers += (block.dwconv, block.norm, block.pwconv1, block.pwconv2)
        self.weights = weights(*layers, self.out_proj)
        self.scales = [block.gamma for block in self.fuser.layers]
        self.eps = self.mask_downsampler.encoder[1].eps

    def forward(self, features: Tensor, logits: Tensor, prompted: bool | Tensor) -> Tensor:
        n, (b, _, h, w) = len(logits), features.shape
        if b not in (1, n) or logits.shape != (n, 4 * h, 4 * w):
            return super().forward(features, logits, prompted)
        features = features if features.stride(0) else features[:1]  # one image for all objects
        features, logits = features.float().movedim(1, -1), logits.float()
        prompted = torch.as_tensor(prompted).expand(n)
        memory = encode_memory(features, logits, prompted, self.weights, self.scales, self.eps).movedim(-1, 1)
        return memory.to(self.dtype)  # the dtype of the plain module under autocast
