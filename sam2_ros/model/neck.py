"""The feature pyramid on top of Hiera (SAM 2 paper, appendix C.1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.hiera import Hiera


class Lateral(nn.Module):
    """A 1x1 convolution to the common width."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, dim, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Neck(nn.Module):
    """Laterals to a common width; stride 32 is added into stride 16 and then dropped.

    The fine levels get no top-down path: they are skip connections of the mask decoder only.
    """

    def __init__(self, dims: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(channels, dim) for channels in reversed(dims))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Four maps of strides 4 .. 32 -> three maps [B, dim, S / stride, S / stride] of strides 4, 8, 16."""
        stride32, stride16, stride8, stride4 = (conv(x) for conv, x in zip(self.convs, reversed(maps), strict=True))
        top_down = F.interpolate(stride32.float(), scale_factor=2.0, mode="nearest")
        return [stride4, stride8, stride16 + top_down.to(stride16.dtype)]


class ImageEncoder(nn.Module):
    """Hiera and its neck."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.trunk = Hiera(config.hiera)
        self.neck = Neck(config.hiera.dims, config.dim)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Normalised image [B, 3, S, S] -> maps [B, dim, S / stride, S / stride] of strides 4, 8, 16."""
        return self.neck(self.trunk(image))
