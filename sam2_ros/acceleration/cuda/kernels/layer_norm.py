"""Layer norm over the last dimension, for CUDA: from float32 to half precision, for which PyTorch makes two or three
passes over memory, with a block of threads even for a short row. Written in Triton."""

from __future__ import annotations

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

VALUES = 4096
"""Values per block of threads."""


def _normalise(
    x, add, weight, bias, out, strip, eps, height, width, down,
    C: tl.constexpr, WIDE: tl.constexpr, ADD: tl.constexpr, WINDOWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Normalise some rows, in float32. With ADD, x takes the sum. With WINDOWS, the side of a window, rows have the
    order of `to_windows`, with zeros beyond the map's edge. They come in strips, each of them all windows side by side,
    so that the place of a row in the map takes no division by numbers unknown at compile time."""
    rows_here = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    target = tl.program_id(1).to(tl.int64) * strip + rows_here
    channels = tl.arange(0, WIDE)
    exists = rows_here < strip
    source, inside = target, exists
    if WINDOWS:
        token, window_index = rows_here % (WINDOWS * WINDOWS), rows_here // (WINDOWS * WINDOWS)
        row = tl.program_id(1) % down * WINDOWS + token // WINDOWS
        column = window_index * WINDOWS + token % WINDOWS
        source = (tl.program_id(1) // down * height + row).to(tl.int64) * width + column
        inside = exists & (row < height) & (column < width)
    mask = inside[:, None] & (channels < C)
    address = x + source[:, None] * C + channels
    values = tl.load(address, mask=mask, other=0.0).to(tl.float32)
    if ADD:
        values += tl.load(add + source[:, None] * C + channels, mask=mask, other=0.0).to(tl.float32)
        tl.store(address, values.to(x.dtype.element_ty), mask=mask)
    values = tl.where(channels < C, values - (tl.sum(values, 1) / C)[:, None], 0.0)
    values *= tl.rsqrt(tl.sum(values * values, 1) / C + eps)[:, None]
    scale = tl.load(weight + channels, mask=channels < C, other=0.0).to(tl.float32)
    shift = tl.load(bias + channels, mask=channels < C, other=0.0).to(tl.float32)
    values = tl.where(inside[:, None], values * scale + shift, 0.0)
    address = out + target[:, None] * C + channels
    tl.store(address, values.to(out.dtype.element_ty), mask=exists[:, None] & (channels < C))


if triton is not None:
    # No variants for sizes that happen to be multiples of 16: images may have any.
    _normalise = triton.jit(_normalise, do_not_specialize=["strip", "height", "width", "down"])


def layer_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    dtype: torch.dtype,
    add: Tensor | None = None,
    window: int = 0,
) -> Tensor:
    """Apply layer norm over the last dimension of x.

    Args:
        x: [..., C], contiguous.
        weight, bias: [C].
        dtype: of the result.
        add: [..., C], contiguous: it is added to x first, in place.
        window: side of the windows that a map [B, H, W, C] is cut into, as by `hiera.to_windows`, padded with zeros;
            0: none.

    Returns:
        [..., C], or [B * windows, window, window, C].
    """
    assert x.is_contiguous() and (add is None or (add.is_contiguous() and add.shape == x.shape))
    assert add is None or not window, "rows beyond the edge would not be added"
    c = x.shape[-1]
    shape, height, width, down, strips = x.shape, 1, 1, 1, 1
    if window:
        height, width = x.shape[1:3]
        down = triton.cdiv(height, window)
        strips = x.shape[0] * down
        shape = strips * triton.cdiv(width, window), window, window, c
    out = torch.empty(shape, dtype=dtype, device=x.device)
    strip, wide = out.numel() // c // strips, triton.next_power_of_2(c)
    block = max(1, VALUES // wide)
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _normalise[triton.cdiv(strip, block), strips](
            x, x if add is None else add, weight, bias, out, strip, eps, height, width, down,
            C=c, WIDE=wide, ADD=add is not None, WINDOWS=window, BLOCK=block,
        )  # fmt: skip
    return out
