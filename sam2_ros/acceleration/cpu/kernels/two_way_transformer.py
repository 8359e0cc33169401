"""The mask decoder's transformer on CPUs, in one operator."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_float, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weights_of

MAX_TOKENS = 16
"""An object may have so many: they lie in the lanes of a group, which has so many with AVX2 and NEON."""


BLOCK, UP, LAST = 18, 10, 5
"""Layers of a block, those of it before its MLP, and layers behind all blocks."""


class Transformer(Structure):
    """As in two_way_transformer.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("tokens", "image", "position", "tokens_out", "image_out")),
        *((name, c_long) for name in ("batch", "count", "cells", "channels", "inner", "hidden", "heads", "blocks")),
        ("threads", c_long),
        ("eps", c_float),
        ("block", POINTER(Weights)),
    )


# An operator, so that profilers see it.
torch.library.define(
    "sam2_ros::two_way_transformer",
    "(Tensor tokens, Tensor image, Tensor position, Tensor[] weights, int heads, float eps) -> (Tensor, Tensor)",
)


@torch.library.impl("sam2_ros::two_way_transformer", "CPU")
def _two_way_transformer(
    tokens: Tensor,
    image: Tensor,
    position: Tensor,
    weights: Sequence[Tensor],
    heads: int,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """What `mask_decoder.TwoWayTransformer` computes.

    Args:
        tokens: float32 [N, T, C], T up to `MAX_TOKENS`.
        image: [N, h * w, C].
        position: [h * w, C].
        weights: all parameters of that module, in its order.

    Returns:
        Tokens and image.
    """
    tokens, image, position, *kept = (tensor.contiguous() for tensor in (tokens, image, position, *weights))
    n, count, channels = tokens.shape
    assert 1 <= count <= MAX_TOKENS, f"{count} tokens, expected 1 .. {MAX_TOKENS}"
    tokens_out, image_out = torch.empty_like(tokens), torch.empty_like(image)
    if not n:
        return tokens_out, image_out
    layers = weights_of(kept)
    inner, hidden = kept[-2 * LAST].shape[0], kept[2 * UP].shape[0]
    sizes = n, count, len(position), channels, inner, hidden, heads, len(layers) // BLOCK, torch.get_num_threads()
    pointers = (tensor.data_ptr() for tensor in (tokens, image, position, tokens_out, image_out))
    given = Transformer(*pointers, *sizes, eps, (Weights * len(layers))(*layers))
    kernels().two_way_transformer(byref(given))
    return tokens_out, image_out


two_way_transformer = torch.ops.sam2_ros.two_way_transformer
