"""Rotary embedding in place, for CUDA: one pass over memory where PyTorch makes five. Written in Triton."""

from __future__ import annotations

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

ROWS = 16
"""Tokens per block of threads."""


def _rotate(x, rotation, map_tokens, cells, batch, row, C: tl.constexpr, ROWS: tl.constexpr):
    """Rotate some tokens: neighbouring channels are a complex number, which is multiplied in float32."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    mask = (rows < map_tokens)[:, None]
    channels = tl.arange(0, C)
    address = x + tl.program_id(1).to(tl.int64) * batch + rows[:, None] * row + channels
    turns = tl.load(rotation + (rows % cells)[:, None] * C + channels, mask=mask, other=0.0)
    a, b = tl.split(tl.reshape(tl.load(address, mask=mask, other=0.0).to(tl.float32), (ROWS, C // 2, 2)))
    cosine, sine = tl.split(tl.reshape(turns, (ROWS, C // 2, 2)))
    rotated = tl.reshape(tl.join(a * cosine - b * sine, a * sine + b * cosine), (ROWS, C))
    tl.store(address, rotated.to(x.dtype.element_ty), mask=mask)


if triton is not None:
    _rotate = triton.jit(_rotate)


def rotate_in_place(x: Tensor, rotation: Tensor, pointers: int = 0) -> Tensor:
    """`sam2_ros.model.position.rotate`, written over x.

    Args:
        x: [B, T, C], C a power of two, channels next to each other in memory.
        rotation: complex64 [cells, C / 2].
        pointers: number of last tokens that are not rotated; the others are whole grids of cells.

    Returns:
        x.
    """
    b, tokens, c = x.shape
    assert x.stride(2) == 1, "channels lie next to each other"
    map_tokens = tokens - pointers
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _rotate[triton.cdiv(map_tokens, ROWS), b](
            x, torch.view_as_real(rotation), map_tokens, len(rotation), x.stride(0), x.stride(1), C=c, ROWS=ROWS
        )
    return x
