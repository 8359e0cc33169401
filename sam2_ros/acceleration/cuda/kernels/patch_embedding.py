"""Embedding of patches, for CUDA: with three channels PyTorch's convolution uses no tensor cores in float32, and bias,
layout and positions are separate passes over the network's largest map. Written in Triton."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_ros.acceleration.cuda.kernels.tf32 import nearest
from sam2_ros.acceleration.cuda.tf32 import products_round

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

PIXELS, FEATURES = 64, 128
"""Pixels and features per block of threads."""

DEPTH = 32
"""Depth of the product per load."""


def _embed(
    image, weight, bias, position, out, height, width, down, across, dim, taps,
    CHANNELS: tl.constexpr, SIDE: tl.constexpr, STRIDE: tl.constexpr, PRECISION: tl.constexpr,
    PIXELS: tl.constexpr, FEATURES: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """Embed some pixels of one row of the map."""
    line, picture = tl.program_id(2) % down, (tl.program_id(2) // down).to(tl.int64)
    columns = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    features = tl.program_id(0) * FEATURES + tl.arange(0, FEATURES)
    column_mask, feature_mask = columns < across, features < dim
    top, left = line * STRIDE - SIDE // 2, columns * STRIDE - SIDE // 2
    accumulator = tl.zeros([PIXELS, FEATURES], tl.float32)
    for start in range(0, CHANNELS * SIDE * SIDE, DEPTH):
        tap = start + tl.arange(0, DEPTH)
        exists = tap < CHANNELS * SIDE * SIDE
        channel, row, column = tap // (SIDE * SIDE), top + tap // SIDE % SIDE, left[:, None] + (tap % SIDE)[None, :]
        in_image = (exists & (row >= 0) & (row < height))[None, :] & (column >= 0) & (column < width)
        offsets = ((picture * CHANNELS + channel) * height + row)[None, :] * width + column
        a = tl.load(image + offsets, mask=in_image & column_mask[:, None], other=0.0).to(tl.float32)
        b = tl.load(weight + features[None, :] * taps + tap[:, None], mask=feature_mask[None, :], other=0.0)
        if PRECISION == "tf32":
            a, b = nearest(a), nearest(b)
        accumulator = tl.dot(a, b, accumulator, input_precision=PRECISION)
    accumulator += tl.load(bias + features, mask=feature_mask, other=0.0).to(tl.float32)[None, :]
    mask = column_mask[:, None] & feature_mask[None, :]
    offsets = (line * across + columns)[:, None] * dim + features[None, :]
    accumulator += tl.load(position + offsets, mask=mask, other=0.0)
    tl.store(out + picture * down * across * dim + offsets, accumulator, mask=mask)


if triton is not None:
    # No variants for sizes that happen to be multiples of 16: images may have any.
    _embed = triton.jit(_embed, do_not_specialize=["height", "width", "down", "across"])


def packed(weight: Tensor) -> Tensor:
    """Weight [dim, C, size, size] -> float32 [dim, C * size * size padded with zeros to a multiple of `DEPTH`]."""
    return F.pad(weight.flatten(1).float(), (0, -weight[0].numel() % DEPTH))


def patch_embedding(
    image: Tensor, weight: Tensor, bias: Tensor, position: Tensor, size: int = 7, stride: int = 4
) -> Tensor:
    """Convolve patches, padded by half their size, and add positions; forward only.

    Factors are rounded to TF32 if PyTorch's matrix products round theirs; else each is split into two TF32 numbers,
    which is as good as exact.

    Args:
        image: [B, C, H, W], contiguous, H and W multiples of the stride.
        weight: float32 [dim, C * size * size and more], `packed`.
        bias: [dim].
        size: side of a patch, pixels.
        position: float32 [1, H / stride, W / stride, dim], contiguous.

    Returns:
        float32 [B, H / stride, W / stride, dim].
    """
    assert image.is_contiguous() and position.is_contiguous()
    b, channels, height, width = image.shape
    dim, taps = weight.shape
    down, across = height // stride, width // stride
    assert position.shape == (1, down, across, dim)
    precision = "tf32" if products_round() else "tf32x3"
    features = min(FEATURES, triton.next_power_of_2(dim))
    out = torch.empty(b, down, across, dim, dtype=torch.float32, device=image.device)
    with torch.cuda.device_of(image):  # Triton launches on the current device
        _embed[triton.cdiv(dim, features), triton.cdiv(across, PIXELS), down * b](
            image, weight, bias, position, out, height, width, down, across, dim, taps,
            CHANNELS=channels, SIDE=size, STRIDE=stride, PRECISION=precision,
            PIXELS=PIXELS, FEATURES=features, DEPTH=DEPTH, num_warps=8, num_stages=2,
        )  # fmt: skip
    return out
