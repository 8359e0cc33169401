"""Memory encoder: an image and the mask found in it become one memory (SAM 2 paper, section 4 and appendix C.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.cpu_kernels.library import has_cpu_kernels
from sam2_ros.model.cpu_kernels.memory_encoder import encode_memory
from sam2_ros.model.layers import (
    LayerNorm2d,
    Linear,
    in_half_on_gpu,
    linear,
    once,
    pointwise,
    takes_cpu_kernels,
    weights,
    weights_are_constant,
)

NARROW = 128
"""Channels up to which our kernel for CPUs, in float32, is faster than PyTorch's operations with tiles of bfloat16."""


class MaskDownsampler(nn.Module):
    """The mask, and four stride-2 convolutions."""

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

    def forward(self, logits: Tensor, prompted: bool | Tensor) -> Tensor:
        """Mask logits [N, H / 4, W / 4] -> [N, dim, H / 16, W / 16]; prompted as in `mask_of`."""
        convolutions, norms = self.encoder[:-1:3], self.encoder[1:-1:3]
        if in_half_on_gpu(logits) and not isinstance(prompted, Tensor):
            from sam2_ros.model.gpu_kernels.mask_downsampling import convolve, from_logits

            mask = from_logits(logits, prompted, convolutions[0], norms[0], torch.get_autocast_dtype("cuda"))
            mask = convolve(mask, convolutions[1], norms[1])
            mask = convolve(mask, convolutions[2], norms[2])
            mask = norms[3].after(convolutions[3], mask, "gelu")
        else:
            mask = mask_of(logits, prompted)
            for convolution, norm in zip(convolutions, norms, strict=True):
                mask = norm.after(convolution, mask, "gelu")
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

    def forward(self, x: Tensor, in_half: bool) -> Tensor:
        """[N, dim, h, w] -> the same shape; in_half as in `add`."""
        if in_half_on_gpu(x, x.shape[1]):
            from sam2_ros.model.gpu_kernels.depthwise import depthwise

            y = depthwise(x, self.dwconv, self.norm, torch.get_autocast_dtype("cuda"))
        else:
            y = self.norm(self.dwconv(x))
        y = self.pwconv1(y.movedim(1, -1), "gelu")
        y = linear(y, *once(self._scaled, id(self))) if weights_are_constant() else self.gamma * self.pwconv2(y)
        return add(x, y.movedim(-1, 1), in_half)

    def _scaled(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the last layer, times gamma."""
        weight, bias = self.pwconv2.weight, self.pwconv2.bias
        gamma = self.gamma.double()
        return (gamma[:, None] * weight.double()).to(weight.dtype), (gamma * bias.double()).to(bias.dtype)


class Fuser(nn.Module):
    """Two ConvNeXt blocks."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FuserBlock(dim) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """[N, dim, h, w] -> the same shape."""
        for layer in self.layers:
            x = layer(x, in_half=layer is self.layers[-1])
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
        """What to remember of a mask: [N, memory_dim, h, w].

        Args:
            features: [N or 1, dim, h, w].
            logits: [N, 4 h, 4 w].
            prompted: as in `mask_of`.
        """
        if self._is_for_the_cpu_kernel(features, logits):
            return self._fused(features, logits, prompted)
        mask = self.mask_downsampler(logits, prompted)
        fused = self.fuser(add(pointwise(features, self.pix_feat_proj), mask, in_half=True))
        return pointwise(fused, self.out_proj)

    def _is_for_the_cpu_kernel(self, features: Tensor, logits: Tensor) -> bool:
        """Whether to take it, which works in float32; where autocast asks for less, if it is the faster one."""
        if self.training or not takes_cpu_kernels(self.out_proj.weight):
            return False
        n, (b, dim, h, w) = len(logits), features.shape
        fitting = b in (1, n) and logits.shape == (n, 4 * h, 4 * w)  # what is not is enlarged or repeated
        if torch.is_autocast_enabled("cpu"):
            return fitting and (dim <= NARROW or not has_cpu_kernels(torch.bfloat16))
        return fitting and features.dtype == logits.dtype == torch.float32

    def _fused(self, features: Tensor, logits: Tensor, prompted: bool | Tensor) -> Tensor:
        """The same by our kernel for CPUs; the memory is in autocast's precision, as other layers would leave it."""
        features = features if features.stride(0) else features[:1]  # one image for all
        features, logits = features.float().movedim(1, -1), logits.float()
        prompted = torch.as_tensor(prompted).expand(len(logits))
        eps = self.mask_downsampler.encoder[1].eps
        memory = encode_memory(features, logits, prompted, self.weights(), self.scales(), eps).movedim(-1, 1)
        return memory.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else memory

    def weights(self) -> list[Tensor]:
        """All of them, as our kernel for CPUs takes them."""
        layers = [layer for layer in self.mask_downsampler.encoder if not isinstance(layer, nn.GELU)]
        layers.append(self.pix_feat_proj)
        for block in self.fuser.layers:
            layers += (block.dwconv, block.norm, block.pwconv1, block.pwconv2)
        return weights(*layers, self.out_proj)

    def scales(self) -> list[Tensor]:
        """Those of its blocks."""
        return [block.gamma for block in self.fuser.layers]


def mask_of(logits: Tensor, prompted: bool | Tensor) -> Tensor:
    """The mask that is encoded, -10 .. 10: logits [N, H / 4, W / 4] -> [N, 1, H, W].

    Args:
        prompted: frames that a user has prompted are remembered as a binary mask. One bool for all, or bool [N].
    """
    mask = F.interpolate(logits[:, None], scale_factor=4, mode="bilinear")
    if isinstance(prompted, Tensor):
        mask = torch.where(prompted.view(-1, 1, 1, 1), (mask > 0).to(mask.dtype), mask.sigmoid())
    else:  # without a tensor, which a GPU would have to be waited for
        mask = (mask > 0).to(mask.dtype) if prompted else mask.sigmoid()
    return mask * 20 - 10


def add(x: Tensor, y: Tensor, in_half: bool) -> Tensor:
    """x [N or 1, C, h, w] + y [N, C, h, w].

    Args:
        in_half: where our kernel adds them, whether it writes autocast's precision or float32.
    """
    if not in_half_on_gpu(y):
        return x + y
    from sam2_ros.model.gpu_kernels import addition

    x, y = (map.contiguous(memory_format=torch.channels_last) for map in (x, y))  # which they are
    return addition.add(x, y, torch.get_autocast_dtype("cuda") if in_half else torch.float32)
