"""Memory encoder: an image and the mask found in it become one memory (SAM 2 paper, section 4 and appendix C.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.layers import LayerNorm2d, Linear, pointwise


class MaskDownsampler(nn.Module):
    """Four stride-2 convolutions: a mask [N, 1, H, W] -> [N, dim, H / 16, W / 16]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (1, 4, 16, 64):
            layers += [
                nn.Conv2d(channels, channels * 4, kernel_size=3, stride=2, padding=1),
                LayerNorm2d(channels * 4),
                nn.GELU(),
            ]
        self.encoder = nn.Sequential(*layers, nn.Conv2d(256, dim, kernel_size=1))

    def forward(self, mask: Tensor) -> Tensor:
        for convolution, norm in zip(self.encoder[:-1:3], self.encoder[1:-1:3], strict=True):
            mask = norm(convolution(mask), "gelu")
        return pointwise(mask, self.encoder[-1])


class FuserBlock(nn.Module):
    """A ConvNeXt block (Liu et al. 2022): depthwise 7x7, then a pointwise MLP, with layer scale."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = Linear(dim, dim * 4)
        self.pwconv2 = Linear(dim * 4, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """[N, dim, h, w] -> the same shape."""
        y = self.norm(self.dwconv(x)).movedim(1, -1)
        y = self.gamma * self.pwconv2(self.pwconv1(y, "gelu"))
        return x + y.movedim(-1, 1)


class Fuser(nn.Module):
    """Two ConvNeXt blocks."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FuserBlock(dim) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Unconditioned image features plus the downsampled mask, fused and narrowed to a memory."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.mask_downsampler = MaskDownsampler(config.dim)
        self.pix_feat_proj = nn.Conv2d(config.dim, config.dim, kernel_size=1)
        self.fuser = Fuser(config.dim)
        self.out_proj = nn.Conv2d(config.dim, config.memory_dim, kernel_size=1)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """features [N or 1, dim, h, w], mask in -10 .. 10 [N, 1, 16 h, 16 w] -> [N, memory_dim, h, w]."""
        fused = self.fuser(pointwise(features, self.pix_feat_proj) + self.mask_downsampler(mask))
        return pointwise(fused, self.out_proj)
