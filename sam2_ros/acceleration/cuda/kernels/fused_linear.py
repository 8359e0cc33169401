"""A linear layer with GELU, the sum with a residual map, or windows merged into a map, for CUDA: PyTorch makes a pass
over memory for each. Written in Triton."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sam2_ros.acceleration.cuda.kernels.gelu import gelu as activated
from sam2_ros.acceleration.cuda.kernels.narrow_attention import abilities

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None


class Tile(NamedTuple):
    """The part of a product that one block of threads computes."""

    rows: int
    columns: int
    warps: int
    stages: int
    """Stages of the software pipeline that loads ahead."""


TILES = Tile(128, 128, 8, 3), Tile(64, 128, 8, 3), Tile(64, 64, 4, 4)
"""Tiles from the largest, which reads the least, to the smallest, of which there are the most. With a residual, the
largest would take so many registers that a multiprocessor had nothing else to do while it waits for memory."""

DEPTH = 64
"""Depth of the product per load."""

MIN_WAVES = 2
"""Minimum number of tiles for each multiprocessor, so that all have work."""


def _multiply(
    x, weight, bias, residual, out, strip, deep, wide, blocks, height, width, down,
    GELU: tl.constexpr, ADD: tl.constexpr, WINDOW: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """Compute one tile. The rows of x come in strips, each of them all windows side by side, so that the place of a row
    in the map takes no division by numbers unknown at compile time."""
    start = tl.program_id(0) // blocks * ROWS  # in the strip; tiles that read the same of x run together
    first_row = tl.program_id(1).to(tl.int64) * strip + start
    rows = tl.arange(0, ROWS)
    columns = tl.program_id(0) % blocks * COLUMNS + tl.arange(0, COLUMNS)
    depth = tl.arange(0, DEPTH)
    row_mask, column_mask = start + rows < strip, columns < wide
    left = x + first_row * deep + (rows[:, None] * deep + depth[None, :])
    right = weight + (columns[None, :] * deep + depth[:, None])
    accumulator = tl.zeros([ROWS, COLUMNS], tl.float32)
    for i in range(0, deep, DEPTH):
        if EVEN:
            a = tl.load(left, mask=row_mask[:, None], other=0.0)
            b = tl.load(right, mask=column_mask[None, :], other=0.0)
        else:
            a = tl.load(left, mask=row_mask[:, None] & (depth < deep - i)[None, :], other=0.0)
            b = tl.load(right, mask=column_mask[None, :] & (depth < deep - i)[:, None], other=0.0)
        accumulator = tl.dot(a, b, accumulator, input_precision="ieee")
        left += DEPTH
        right += DEPTH
    accumulator += tl.load(bias + columns, mask=column_mask, other=0.0).to(tl.float32)[None, :]
    if GELU:
        accumulator = activated(accumulator)
    if WINDOW:
        picture, line = tl.program_id(1) // down, tl.program_id(1) % down * WINDOW
        first_row = (picture * height + line).to(tl.int64) * width
        token, window_index = (start + rows) % (WINDOW * WINDOW), (start + rows) // (WINDOW * WINDOW)
        row, column = token // WINDOW, window_index * WINDOW + token % WINDOW
        row_mask &= (line + row < height) & (column < width)
        rows = row * width + column
    offsets = rows[:, None] * wide + columns[None, :]
    mask = row_mask[:, None] & column_mask[None, :]
    if ADD:
        accumulator += tl.load(residual + first_row * wide + offsets, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + first_row * wide + offsets, accumulator.to(out.dtype.element_ty), mask=mask)


if triton is not None:
    # No variants for sizes that happen to be multiples of 16: images may have any.
    _multiply = triton.jit(_multiply, do_not_specialize=["strip", "blocks", "height", "width", "down"])


def fused_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    gelu: bool = False,
    residual: Tensor | None = None,
    window: int = 0,
    tile: Tile | None = None,
) -> Tensor:
    """x weight' + bias, followed by GELU or a sum; forward only.

    Args:
        x: [..., C], contiguous.
        weight: [D, C], contiguous, of x's dtype.
        bias: [D].
        gelu: whether GELU follows.
        residual: [..., D], contiguous: added to the result, which then has its dtype.
        window: x is in windows [B * windows, window, window, C] as `hiera.to_windows` cuts them, and residual is the
            map [B, H, W, D] they are merged into; windows are cut at its edges. 0: x is in no windows.
        tile: size of the tiles, which changes the result by rounding only. None: one that suits the GPU.

    Returns:
        [..., D] of x's dtype; with a residual, of its shape and dtype.
    """
    assert x.is_contiguous() and weight.is_contiguous() and weight.dtype == x.dtype
    assert residual is None or residual.is_contiguous()
    assert residual is not None or not window, "windows are merged into the residual map"
    (wide, deep), rows = weight.shape, x.numel() // x.shape[-1]
    out = x.new_empty(*x.shape[:-1], wide) if residual is None else torch.empty_like(residual)
    height, width, strips, down = 1, 1, 1, 1
    if window:
        height, width = residual.shape[1:3]
        down = triton.cdiv(height, window)
        strips = residual.shape[0] * down
    strip = rows // strips
    tile = tile or _tile(strip, strips, wide, TILES if residual is None else TILES[1:], x.device)
    blocks = triton.cdiv(wide, tile.columns)
    depth = min(DEPTH, max(16, triton.next_power_of_2(deep)))
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _multiply[triton.cdiv(strip, tile.rows) * blocks, strips](
            x, weight, bias, x if residual is None else residual, out,
            strip, deep, wide, blocks, height, width, down,
            GELU=gelu, ADD=residual is not None, WINDOW=window,
            ROWS=tile.rows, COLUMNS=tile.columns, DEPTH=depth, EVEN=deep % depth == 0,
            num_warps=tile.warps, num_stages=min(tile.stages, triton.cdiv(deep, depth)),
        )  # fmt: skip
    return out


def _tile(strip: int, strips: int, wide: int, tiles: tuple[Tile, ...], device: torch.device) -> Tile:
    """The largest tile of which there are enough, and which does not reach far beyond the last column."""
    _, processors = abilities(device)
    least = triton.cdiv(wide, tiles[-1].columns) * tiles[-1].columns
    for tile in tiles:
        across = triton.cdiv(wide, tile.columns)
        enough = triton.cdiv(strip, tile.rows) * strips * across >= MIN_WAVES * processors
        if enough and across * tile.columns * 8 <= least * 9:
            return tile
    return tiles[-1]
