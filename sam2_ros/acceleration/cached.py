"""Position encodings, computed once for each size of image; and convolutions without a nonlinearity between them,
multiplied into one. Both help on every device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.hiera import Hiera
from sam2_ros.model.layers import in_float32
from sam2_ros.model.memory_attention import MemoryAttention
from sam2_ros.model.position import RandomFourier
from sam2_ros.model.sam2 import SAM2, ImageFeatures

SIZES = 8
"""Number of image sizes whose encodings are cached; the least recently used one is dropped."""


class CachedHiera(Hiera):
    def prepare(self, dtype: torch.dtype) -> None:
        plain = super().position
        self.position = lru_cache(SIZES)(lambda height, width: plain(height, width).contiguous())


class CachedRandomFourier(RandomFourier):
    def prepare(self, dtype: torch.dtype) -> None:
        self.grid = lru_cache(SIZES)(super().grid)


class CachedMemoryAttention(MemoryAttention):
    def prepare(self, dtype: torch.dtype) -> None:
        self.rotation = lru_cache(SIZES)(super().rotation)


class CachedSAM2(SAM2):
    """Laterals of the fine levels and the decoder's 1x1 convolutions behind them are one product each."""

    linear = staticmethod(F.linear)

    def prepare(self, dtype: torch.dtype) -> None:
        self.position = lru_cache(2 * SIZES)(super().position)
        decoder, (_, _, lateral8, lateral4) = self.sam_mask_decoder, self.image_encoder.neck.convs
        self.skip4 = merged([lateral4.conv, decoder.conv_s0])
        self.skip8 = merged([lateral8.conv, decoder.conv_s1])

    def encode_image(self, image: Tensor) -> ImageFeatures:
        stride4, stride8, stride16, stride32 = self.image_encoder.trunk(image)
        with in_float32(image):
            return ImageFeatures(
                self.linear(stride4.movedim(1, -1), *self.skip4).movedim(-1, 1),
                self.linear(stride8.movedim(1, -1), *self.skip8).movedim(-1, 1),
                self.image_encoder.neck.top_down(stride16, stride32),
            )


def merged(convolutions: Sequence[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Weight [D, C] and bias [D] of 1x1 convolutions one after the other, multiplied into one.

    Computed in float64, which is exact enough for any precision of the weights.
    """
    first, *others = convolutions
    weight, bias = first.weight.flatten(1).double(), first.bias.double()
    for convolution in others:
        factor = convolution.weight.flatten(1).double()
        weight, bias = factor @ weight, factor @ bias + convolution.bias.double()
    return weight.to(first.weight.dtype), bias.to(first.bias.dtype)
