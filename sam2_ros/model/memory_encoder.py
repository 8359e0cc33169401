"""The memory encoder: an image and its predicted mask to a memory (SAM 2 paper, section 4, appendix C.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.layers import LayerNorm2d


class MaskDownsampler(nn.Module):
    """Four stride-2 convolutions, from the size of the image to that of stride-16 features."""

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
        """[N, 1, H, W] -> [N, dim, H / 16, W / 16]."""
        return self.encoder(mask)


class FuserBlock(nn.Module):
    """A ConvNeXt block (Liu et al. 2022): depthwise 7x7, then a pointwise MLP, with layer scale."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = nn.Linear(dim, dim * 4)
        self.pwconv2 = nn.Linear(dim * 4, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """[N, dim, h, w] -> the same shape."""
        y = self.norm(self.dwconv(x)).movedim(1, -1)
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return x + y.movedim(-1, 1)


class Fuser(nn.Module):
    """Two ConvNeXt blocks."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FuserBlock(dim) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """[N, dim, h, w] -> the same shape."""
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

    def forward(self, features: Tensor, logits: Tensor, prompted: bool | Tensor) -> Tensor:
        """Encode masks on an image: [N, memory_dim, h, w].

        Args:
            features: [N or 1, dim, h, w].
            logits: [N, 4 h, 4 w].
            prompted: as in `mask_of`.
        """
        mask = self.mask_downsampler(mask_of(logits, prompted))
        return self.out_proj(self.fuser(self.pix_feat_proj(features) + mask))


def mask_of(logits: Tensor, prompted: bool | Tensor) -> Tensor:
    """Input of the mask downsampler, -10 .. 10: logits [N, H / 4, W / 4] -> [N, 1, H, W].

    Args:
        prompted: whether a frame is prompted: its mask is binarised. One bool for all, or bool [N].
    """
    mask = F.interpolate(logits[:, None], scale_factor=4, mode="bilinear")
    if isinstance(prompted, Tensor):
        mask = torch.where(prompted.view(-1, 1, 1, 1), (mask > 0).to(mask.dtype), mask.sigmoid())
    else:  # avoids a copy to the device
        mask = (mask > 0).to(mask.dtype) if prompted else mask.sigmoid()
    return mask * 20 - 10
