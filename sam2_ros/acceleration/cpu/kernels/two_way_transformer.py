"""The mask decoder's two-way transformer as one CPU operator."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_float, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weight_pointers

MAX_TOKENS = 16
"""Tokens of an object, at most: the lanes of a group with AVX2 and NEON."""

BLOCK_LAYERS, LAYERS_BEFORE_MLP, FINAL_LAYERS = 18, 10, 5
"""Layers of a block, of a block before its MLP, and after all blocks."""


class Transformer(Structure):
    """Mirrors `Transformer` of two_way_transformer.cpp."""

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
    """`sam2_ros.model.mask_decoder.TwoWayTransformer`.

    Args:
        tokens: float32 [N, T, C], T up to `MAX_TOKENS`.
        image: [N, h * w, C].
        position: [h * w, C].
        weights: all parameters of the module, in its order.

    Returns:
        Tokens [N, T, C] and image [N, h * w, C].
    """
    tokens, image, position, *parameters = (tensor.contiguous() for tensor in (tokens, image, position, *weights))
    n, count, channels = tokens.shape
    assert 1 <= count <= MAX_TOKENS, f"{count} tokens, expected 1 .. {MAX_TOKENS}"
    tokens_out, image_out = torch.empty_like(tokens), torch.empty_like(image)
    if not n:
        return tokens_out, image_out
    layers = weight_pointers(parameters)
    inner, hidden = parameters[-2 * FINAL_LAYERS].shape[0], parameters[2 * LAYERS_BEFORE_MLP].shape[0]
    blocks, threads = len(layers) // BLOCK_LAYERS, torch.get_num_threads()
    sizes = n, count, len(position), channels, inner, hidden, heads, blocks, threads
    pointers = (tensor.data_ptr() for tensor in (tokens, image, position, tokens_out, image_out))
    arguments = Transformer(*pointers, *sizes, eps, (Weights * len(layers))(*layers))
    kernels().two_way_transformer(byref(arguments))
    return tokens_out, image_out


two_way_transformer = torch.ops.sam2_ros.two_way_transformer
