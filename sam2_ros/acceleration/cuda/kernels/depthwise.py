"""A depthwise 7 x 7 convolution with layer norm over its channels, for CUDA: in one pass over memory, and with each
value read for several rows at once, unlike cuDNN's kernel. Written in Triton."""

from __future__ import annotations

import torch
from torch import Tensor, nn

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

VALUES = 2048
"""Values per row of pixels of a block of threads."""

MIN_PIXELS_OF_FOUR_ROWS = 2**14
"""Minimum number of pixels for which four rows per block of threads, not two, leave enough blocks for all
multiprocessors."""


def _convolve(
    x, weight, bias, scale, shift, out, height, width, eps,
    C: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Convolve two or four rows, a to d, of some pixels with all their channels, in float32: each value is read once
    for all of these rows."""
    picture = tl.program_id(2).to(tl.int64) * height * width * C
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    row = tl.program_id(1) * ROWS + 0 * columns
    channels = tl.arange(0, C)[None, :] + 0 * columns[:, None]  # weights have the layout of the pixels, too
    a, b = tl.zeros([COLUMNS, C], tl.float32), tl.zeros([COLUMNS, C], tl.float32)
    c, d = a, b
    for j in range(7):
        column = columns + j - 3
        inside = (column >= 0) & (column < width)
        taps = weight + j * C + channels
        for i in tl.static_range(ROWS + 6):
            line = row + i - 3
            mask = (inside & (line >= 0) & (line < height))[:, None]
            source = x + picture + (line * width + column)[:, None] * C + channels
            values = tl.load(source, mask=mask, other=0.0).to(tl.float32)
            if i < 7:
                a += values * tl.load(taps + i * (7 * C))
            if i >= 1 and i < 8:
                b += values * tl.load(taps + (i - 1) * (7 * C))
            if ROWS == 4 and i >= 2 and i < 9:
                c += values * tl.load(taps + (i - 2) * (7 * C))
            if ROWS == 4 and i >= 3:
                d += values * tl.load(taps + (i - 3) * (7 * C))
    bias, scale, shift = tl.load(bias + channels), tl.load(scale + channels), tl.load(shift + channels)
    target, step = out + picture + (row * width + columns)[:, None] * C + channels, width * C
    rows_left = tl.where(columns < width, height - row, 0)[:, None]
    _write(a, bias, scale, shift, target, rows_left > 0, eps, C)
    _write(b, bias, scale, shift, target + step, rows_left > 1, eps, C)
    if ROWS == 4:
        _write(c, bias, scale, shift, target + 2 * step, rows_left > 2, eps, C)
        _write(d, bias, scale, shift, target + 3 * step, rows_left > 3, eps, C)


def _write(x, bias, scale, shift, target, mask, eps, C: tl.constexpr):
    """Normalise and write one row."""
    x += bias
    x -= (tl.sum(x, 1) / C)[:, None]
    x *= tl.rsqrt(tl.sum(x * x, 1) / C + eps)[:, None]
    tl.store(target, (x * scale + shift).to(target.dtype.element_ty), mask=mask)


if triton is not None:
    _convolve, _write = triton.jit(_convolve), triton.jit(_write)


def packed(weight: Tensor) -> Tensor:
    """Filters [C, 1, 7, 7] -> float32 [49, C], as `depthwise` takes them."""
    return weight.flatten(1).T.float().contiguous()


def depthwise(x: Tensor, weight: Tensor, bias: Tensor, norm: nn.LayerNorm, dtype: torch.dtype) -> Tensor:
    """Convolve each channel by itself with padding 3, and apply layer norm over the channels.

    Args:
        x: [N, C, h, w], C a power of two, channels last in memory.
        weight: float32 [49, C], `packed`.
        bias: [C].
        norm: of C channels.
        dtype: of the result.

    Returns:
        [N, C, h, w], channels last in memory.
    """
    n, c, h, w = x.shape
    assert x.is_contiguous(memory_format=torch.channels_last)
    out = torch.empty_like(x, dtype=dtype, memory_format=torch.channels_last)
    rows, columns = 4 if n * h * w >= MIN_PIXELS_OF_FOUR_ROWS else 2, max(1, VALUES // c)
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _convolve[triton.cdiv(w, columns), triton.cdiv(h, rows), n](
            x, weight, bias, norm.weight, norm.bias, out, h, w, norm.eps,
            C=c, ROWS=rows, COLUMNS=columns,
        )  # fmt: skip
    return out
