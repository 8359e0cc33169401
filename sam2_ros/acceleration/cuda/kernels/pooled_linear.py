"""A linear layer over a map in float32, max-pooled 2x2 before the result is written, for CUDA: PyTorch writes four
times as much, and reads it again. Written in Triton."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cuda.kernels.tf32 import nearest
from sam2_ros.acceleration.cuda.tf32 import products_round

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

ROWS, COLUMNS, DEPTH = 128, 64, 32
"""Rows and columns per block of threads, and depth of the product per load."""


def _multiply(
    x, weight, bias, out, height, width, deep, wide, blocks,
    PRECISION: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """Compute some pixels of one row of the pooled map; the four rows of x of each pixel follow each other."""
    down, across = height // 2, width // 2
    picture, line = (tl.program_id(1) // down).to(tl.int64), tl.program_id(1) % down
    pixels = tl.program_id(0) // blocks * (ROWS // 4) + tl.arange(0, ROWS) // 4
    corner = tl.arange(0, ROWS) % 4
    columns = tl.program_id(0) % blocks * COLUMNS + tl.arange(0, COLUMNS)
    depth = tl.arange(0, DEPTH)
    row_mask, column_mask = pixels < across, columns < wide
    rows = corner // 2 * width + pixels * 2 + corner % 2
    left = x + (picture * height + line * 2) * width * deep + (rows[:, None] * deep + depth[None, :])
    right = weight + (columns[None, :] * deep + depth[:, None])
    accumulator = tl.zeros([ROWS, COLUMNS], tl.float32)
    for i in range(0, deep, DEPTH):
        a = tl.load(left, mask=row_mask[:, None] & (depth < deep - i)[None, :], other=0.0)
        b = tl.load(right, mask=column_mask[None, :] & (depth < deep - i)[:, None], other=0.0)
        if PRECISION == "tf32":
            a, b = nearest(a), nearest(b)
        accumulator = tl.dot(a, b, accumulator, input_precision=PRECISION)
        left += DEPTH
        right += DEPTH
    largest = tl.max(tl.reshape(accumulator, (ROWS // 4, 4, COLUMNS)), 1)
    largest += tl.load(bias + columns, mask=column_mask, other=0.0)[None, :]
    pixels = tl.program_id(0) // blocks * (ROWS // 4) + tl.arange(0, ROWS // 4)
    address = out + (picture * down + line) * across * wide + (pixels[:, None] * wide + columns[None, :])
    tl.store(address, largest, mask=(pixels < across)[:, None] & column_mask[None, :])


if triton is not None:
    # No variants for sizes that happen to be multiples of 16: images may have any.
    _multiply = triton.jit(_multiply, do_not_specialize=["height", "width", "blocks"])


def pooled_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """max_pool(x weight' + bias), in TF32 if PyTorch's products round to it, else in three TF32 products; forward only.

    Args:
        x: float32 [B, H, W, C], contiguous.
        weight: float32 [D, C], contiguous.
        bias: float32 [D].

    Returns:
        float32 [B, H / 2, W / 2, D].
    """
    assert x.is_contiguous() and weight.is_contiguous()
    b, height, width, deep = x.shape
    wide = weight.shape[0]
    out = torch.empty(b, height // 2, width // 2, wide, dtype=x.dtype, device=x.device)
    blocks = triton.cdiv(wide, COLUMNS)
    precision = "tf32" if products_round() else "tf32x3"
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _multiply[triton.cdiv(width // 2, ROWS // 4) * blocks, b * (height // 2)](
            x, weight, bias, out, height, width, deep, wide, blocks,
            PRECISION=precision, ROWS=ROWS, COLUMNS=COLUMNS, DEPTH=DEPTH, num_warps=8, num_stages=3,
        )  # fmt: skip
    return out
