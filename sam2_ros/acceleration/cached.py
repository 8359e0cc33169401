"""Faster classes for every device: position encodings cached by image size, consecutive convolutions merged."""

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
"""Image sizes in a cache, the most recently used ones."""


class CachedHiera(Hiera):
    """Caches position embeddings by image size."""

    def prepare(self, dtype: torch.dtype) -> None:
        plain = super().position
        self.position = lru_cache(SIZES)(lambda height, width: plain(height, width).contiguous())


class CachedRandomFourier(RandomFourier):
    """Caches the encoding of the grid by image size."""

    def prepare(self, dtype: torch.dtype) -> None:
        self.grid = lru_cache(SIZES)(super().grid)


class CachedMemoryAttention(MemoryAttention):
    """Caches rotations by image size."""

    def prepare(self, dtype: torch.dtype) -> None:
        self.rotation = lru_cache(SIZES)(super().rotation)


class MergedSAM2(SAM2):
    """Merges each fine lateral with the decoder's 1x1 convolution after it into one product, which has a gradient."""

    linear = staticmethod(F.linear)

    def skip_products(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of the products that give the skip connections of strides 4 and 8."""
        decoder, (_, _, lateral8, lateral4) = self.sam_mask_decoder, self.image_encoder.neck.convs
        return [merged([lateral4.conv, decoder.conv_s0]), merged([lateral8.conv, decoder.conv_s1])]

    def encode_image(self, image: Tensor) -> ImageFeatures:
        stride4, stride8, stride16, stride32 = self.image_encoder.trunk(image)
        product4, product8 = self.skip_products()
        with in_float32(image):
            return ImageFeatures(
                self.linear(stride4.movedim(1, -1), *product4).movedim(-1, 1),
                self.linear(stride8.movedim(1, -1), *product8).movedim(-1, 1),
                self.image_encoder.neck.top_down(stride16, stride32),
            )


class CachedSAM2(MergedSAM2):
    """Caches positions by image size, and the merged products."""

    def prepare(self, dtype: torch.dtype) -> None:
        self.position = lru_cache(2 * SIZES)(super().position)
        products = super().skip_products()
        self.skip_products = lambda: products


def merged(convolutions: Sequence[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Weight [D, C] and bias [D] of consecutive 1x1 convolutions merged into one, multiplied in float64."""
    first, *others = convolutions
    weight, bias = first.weight.flatten(1).double(), first.bias.double()
    for convolution in others:
        factor = convolution.weight.flatten(1).double()
        weight, bias = factor @ weight, factor @ bias + convolution.bias.double()
    return weight.to(first.weight.dtype), bias.to(first.bias.dtype)
