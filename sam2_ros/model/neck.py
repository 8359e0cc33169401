"""The feature pyramid on top of Hiera (SAM 2 paper, appendix C.1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.hiera import Hiera
from sam2_ros.model.layers import in_float32, pointwise


class Lateral(nn.Module):
    """A 1x1 convolution to the common width, and of what follows it, where only that is needed."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, dim, kernel_size=1)

    def forward(self, x: Tensor, *then: nn.Conv2d) -> Tensor:
        return pointwise(x, self.conv, *then)


class Neck(nn.Module):
    """Laterals to a common width; stride 32 is added into stride 16 and then dropped.

    The fine levels get no top-down path: they are skip connections of the mask decoder only.
    """

    def __init__(self, dims: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(channels, dim) for channels in reversed(dims))

    def forward(self, maps: list[Tensor], skip4: nn.Conv2d, skip8: nn.Conv2d) -> list[Tensor]:
        """Four maps of strides 4 .. 32 -> three maps [B, channels, H / stride, W / stride] of strides 4, 8, 16.

        The fine maps go through nothing but the decoder's own 1x1 convolutions, which narrow them at once.
        """
        stride4, stride8, stride16, stride32 = maps
        lateral32, lateral16, lateral8, lateral4 = self.convs
        with in_float32(stride4):  # everything else is made of these
            top_down = F.interpolate(lateral32(stride32), scale_factor=2.0, mode="nearest")
            return [lateral4(stride4, skip4), lateral8(stride8, skip8), lateral16(stride16) + top_down]


class ImageEncoder(nn.Module):
    """Hiera and its neck."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.trunk = Hiera(config.hiera)
        self.neck = Neck(config.hiera.dims, config.dim)

    def forward(self, image: Tensor, skip4: nn.Conv2d, skip8: nn.Conv2d) -> list[Tensor]:
        """Normalised image [B, 3, H, W] -> maps [B, channels, H / stride, W / stride] of strides 4, 8, 16."""
        return self.neck(self.trunk(image), skip4, skip8)
