"""The mask decoder's upscaling, for CUDA: transposed convolutions fused with the operations behind them, each of which
is a pass over memory in PyTorch. The image at full size is never in memory, only its masks. Written in Triton."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sam2_ros.acceleration.cuda.kernels.gelu import gelu
from sam2_ros.acceleration.cuda.kernels.tf32 import nearest
from sam2_ros.acceleration.cuda.tf32 import products_round

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None


class Blocks(NamedTuple):
    """Division of the work among blocks of threads."""

    cells: int
    """Cells per block of threads."""
    inner: int
    """Input channels per load."""
    warps: int
    stages: int
    """Stages of the software pipeline that loads ahead."""


BLOCKS = {"tf32": Blocks(64, 64, 8, 2), "ieee": Blocks(64, 16, 8, 2)}
"""Precision -> division. Without rounding, tensor cores are not used, and the factors take registers."""


def _transposed(
    x, weight, bias, skip, cells, width, skip_object, skip_channel, skip_row, skip_column,
    K: tl.constexpr, C: tl.constexpr, CELLS: tl.constexpr, INNER: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Apply the transposed convolution, bias and skip connection, in float32: each cell becomes two by two pixels, of
    which a block of threads computes the upper two, or the lower two.

    Returns:
        [CELLS, 2, C]; offsets of the pixels on the object's map [CELLS, 2]; which cells exist [CELLS, 1].
    """
    item = tl.program_id(1).to(tl.int64)
    below = tl.program_id(0) % 2
    cell = tl.program_id(0) // 2 * CELLS + tl.arange(0, CELLS)
    exists = (cell < cells)[:, None]
    pair = tl.arange(0, 2 * C)  # the channels of the left pixel, and of the right one
    accumulator = tl.zeros([CELLS, 2 * C], tl.float32)
    for start in range(0, K, INNER):
        inner = start + tl.arange(0, INNER)
        a = tl.load(x + (item * cells + cell[:, None]) * K + inner, mask=exists, other=0.0)
        b = tl.load(weight + (below * 2 * C + pair) * K + inner[:, None])
        if PRECISION == "tf32":
            a, b = nearest(a), nearest(b)
        accumulator = tl.dot(a, b, accumulator, input_precision=PRECISION)
    row, column = cell // width * 2 + below, cell % width * 2
    address = skip + item * skip_object + row[:, None] * skip_row + column[:, None] * skip_column
    address += pair // C * skip_column + pair % C * skip_channel
    accumulator += tl.load(bias + pair % C) + tl.load(address, mask=exists, other=0.0)
    accumulator = tl.reshape(accumulator, (CELLS, 2, C))
    pixel = (row * 2 * width + column)[:, None] + tl.arange(0, 2)
    return accumulator, pixel, exists


def _upscale(
    x, weight, bias, skip, scale, shift, out, eps,
    cells, width, skip_object, skip_channel, skip_row, skip_column,
    K: tl.constexpr, C: tl.constexpr, CELLS: tl.constexpr, INNER: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Upscale some cells of one object's map, with layer norm over the channels and GELU."""
    values, pixel, exists = _transposed(
        x, weight, bias, skip, cells, width, skip_object, skip_channel, skip_row, skip_column,
        K, C, CELLS, INNER, PRECISION,
    )  # fmt: skip
    channels = tl.arange(0, C)
    values -= (tl.sum(values, 2) / C)[:, :, None]
    values *= tl.rsqrt(tl.sum(values * values, 2) / C + eps)[:, :, None]
    values = gelu(values * tl.load(scale + channels) + tl.load(shift + channels))
    address = out + (tl.program_id(1).to(tl.int64) * 4 * cells + pixel)[:, :, None] * C + channels
    tl.store(address, values.to(out.dtype.element_ty), mask=exists[:, :, None])


def _filter(
    x, weight, bias, skip, filters, out,
    cells, width, skip_object, skip_channel, skip_row, skip_column,
    K: tl.constexpr, C: tl.constexpr, MASKS: tl.constexpr,
    CELLS: tl.constexpr, INNER: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Upscale some cells of one object's map, with GELU and the object's filters."""
    values, pixel, exists = _transposed(
        x, weight, bias, skip, cells, width, skip_object, skip_channel, skip_row, skip_column,
        K, C, CELLS, INNER, PRECISION,
    )  # fmt: skip
    values = gelu(values)
    for mask in tl.static_range(MASKS):
        which = tl.program_id(1).to(tl.int64) * MASKS + mask
        logits = tl.sum(values * tl.load(filters + which * C + tl.arange(0, C)), 2)
        tl.store(out + which * 4 * cells + pixel, logits.to(out.dtype.element_ty), mask=exists)


if triton is not None:
    _transposed, _upscale, _filter = triton.jit(_transposed), triton.jit(_upscale), triton.jit(_filter)


def packed(weight: Tensor) -> Tensor:
    """Weight [dim, C, 2, 2] of a transposed convolution -> [2, 2, C, dim].

    The summed dimension is contiguous, for tensor cores.
    """
    return weight.detach().permute(2, 3, 1, 0).contiguous()


def upscale(x: Tensor, weight: Tensor, bias: Tensor, skip: Tensor, norm: nn.LayerNorm) -> Tensor:
    """gelu(norm(upscaled + skip)), upscaled by a transposed convolution of 2x2 with a stride of 2.

    Args:
        x: the map as tokens, [N, h * w, dim], contiguous; dim a power of two, 32 or more.
        weight: [2, 2, C, dim], `packed`; C a power of two, 16 or more.
        bias: [C].
        skip: [1 or N, C, 2 h, 2 w], in any memory format.
        norm: over the channels.

    Returns:
        [N, 2 h * 2 w, C].
    """
    n, cells, _ = x.shape
    out = x.new_empty(n, 4 * cells, len(bias))
    _launch(_upscale, x, weight, bias, skip, (norm.weight, norm.bias, out, norm.eps))
    return out


def filter_upscaled(x: Tensor, weight: Tensor, bias: Tensor, skip: Tensor, filters: Tensor) -> Tensor:
    """filters @ gelu(upscaled + skip): the masks of each object's 1x1 filters.

    Args:
        x, weight, bias, skip: as above.
        filters: [N, M, C].

    Returns:
        [N, M, 2 h, 2 w].
    """
    n, masks, _ = filters.shape
    out = x.new_empty(n, masks, *skip.shape[2:])
    _launch(_filter, x, weight, bias, skip, (filters.contiguous(), out), MASKS=masks)
    return out


def _launch(kernel, x: Tensor, weight: Tensor, bias: Tensor, skip: Tensor, others: tuple, **constants: int) -> None:
    """Launch a kernel. Factors are rounded to TF32 if PyTorch's matrix products round theirs; its convolutions do by
    default."""
    n, cells, channels = x.shape
    height, width = skip.shape[2] // 2, skip.shape[3] // 2
    assert x.is_contiguous() and cells == height * width and weight.shape == (2, 2, len(bias), channels)
    precision = "tf32" if products_round() else "ieee"
    blocks = BLOCKS[precision]
    with torch.cuda.device_of(x):  # Triton launches on the current device
        kernel[2 * triton.cdiv(cells, blocks.cells), n](
            x, weight, bias, skip, *others,
            cells, width, *skip.expand(n, -1, -1, -1).stride(),
            K=channels, C=len(bias), **constants,
            CELLS=blocks.cells, INNER=min(blocks.inner, channels // 2), PRECISION=precision,
            num_warps=blocks.warps, num_stages=blocks.stages,
        )  # fmt: skip
