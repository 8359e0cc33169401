"""The feature pyramid on top of Hiera (SAM 2 paper, appendix C.1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.hiera import Hiera
from sam2_ros.model.layers import in_float32


class Lateral(nn.Module):
    """A 1x1 convolution from the channels of a stage to the common width."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, dim, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, dim, h, w]."""
        return self.conv(x)


class Neck(nn.Module):
    """Laterals to a common width; stride 32 is added to stride 16 and dropped.

    The fine levels get no top-down path: they are skip connections of the mask decoder only.
    """

    def __init__(self, dims: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(channels, dim) for channels in reversed(dims))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Four maps of strides 4 .. 32 -> three maps [B, dim, H / stride, W / stride] of strides 4, 8, 16."""
        stride4, stride8, stride16, stride32 = maps
        _, _, lateral8, lateral4 = self.convs
        with in_float32(stride4):  # the input of everything else
            return [lateral4(stride4), lateral8(stride8), self.top_down(stride16, stride32)]

    def top_down(self, stride16: Tensor, stride32: Tensor) -> Tensor:
        """Stride 16 with stride 32 added: [B, dim, H / 16, W / 16]."""
        lateral32, lateral16, _, _ = self.convs
        return lateral16(stride16) + F.interpolate(lateral32(stride32), scale_factor=2.0, mode="nearest")


class ImageEncoder(nn.Module):
    """Hiera and its neck."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.trunk = Hiera(config.hiera)
        self.neck = Neck(config.hiera.dims, config.dim)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Normalised image [B, 3, H, W] -> maps [B, dim, H / stride, W / stride] of strides 4, 8, 16."""
        return self.neck(self.trunk(image))
