"""Faster classes for every device: position encodings cached by image size, consecutive convolutions merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.hiera import Hiera
from sam2_ros.model.layers import in_float32
from sam2_ros.model.memory_attention import MemoryAttention
from sam2_ros.model.position import RandomFourier
from sam2_ros.model.sam2 import SAM2, ImageFeatures

SIZES = 16
"""Tables in a cache, the most recently used ones."""


class SizeCache:
    """Tables by size. It refers to no module, so that a network is freed when it is dropped."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, ...], Tensor] = {}

    def get(self, size: tuple[int, ...], compute: Callable[[], Tensor]) -> Tensor:
        """The table of a size, computed if it is not cached."""
        table = self._tables.pop(size, None)
        table = compute() if table is None else table
        self._tables[size] = table  # the most recently used one is last
        for oldest in list(self._tables)[:-SIZES]:
            self._tables.pop(oldest, None)
        return table


class CachedHiera(Hiera):
    """Caches position embeddings by image size."""

    def prepare(self, dtype: torch.dtype) -> None:
        self.positions = SizeCache()

    def position(self, height: int, width: int) -> Tensor:
        plain = super().position
        return self.positions.get((height, width), lambda: plain(height, width).contiguous())


class CachedRandomFourier(RandomFourier):
    """Caches the encoding of the grid by image size."""

    def prepare(self, dtype: torch.dtype) -> None:
        self.grids = SizeCache()

    def grid(self, height: int, width: int) -> Tensor:
        plain = super().grid
        return self.grids.get((height, width), lambda: plain(height, width))


class CachedMemoryAttention(MemoryAttention):
    """Caches rotations by image size."""

    def prepare(self, dtype: torch.dtype) -> None:
        self.rotations = SizeCache()

    def rotation(self, height: int, width: int) -> Tensor:
        plain = super().rotation
        return self.rotations.get((height, width), lambda: plain(height, width))


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
        self.positions = SizeCache()
        self.products = super().skip_products()

    def position(self, height: int, width: int, channels: int) -> Tensor:
        plain = super().position
        return self.positions.get((height, width, channels), lambda: plain(height, width, channels))

    def skip_products(self) -> list[tuple[Tensor, Tensor]]:
        return self.products


def merged(convolutions: Sequence[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Weight [D, C] and bias [D] of consecutive 1x1 convolutions merged into one, multiplied in float64."""
    first, *others = convolutions
    weight, bias = first.weight.flatten(1).double(), first.bias.double()
    for convolution in others:
        factor = convolution.weight.flatten(1).double()
        weight, bias = factor @ weight, factor @ bias + convolution.bias.double()
    return weight.to(first.weight.dtype), bias.to(first.bias.dtype)
