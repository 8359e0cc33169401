"""Keys of memory attention, for CUDA: projected and rotated in one pass over memory. Written in Triton."""

from __future__ import annotations

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

ROWS, PAIRS, WARPS = 64, 64, 8
"""Tokens, pairs of channels, and warps per block of threads."""


def _project(
    x, weight, bias, rotation, counts, out, cells, tokens, objects, all_pairs,
    C: tl.constexpr, ROWS: tl.constexpr, PAIRS: tl.constexpr,
):  # fmt: skip
    """Project the same cells of all maps of an object, which share their rotation; or some of its pointers, which have
    none."""
    n = tl.program_id(1).to(tl.int64)
    pairs = tl.program_id(2) * PAIRS + tl.arange(0, PAIRS)
    inner = tl.arange(0, C)
    map_tokens, valid_tokens = tl.load(counts + n), tl.load(counts + objects + n)
    blocks = tl.cdiv(cells, ROWS)
    is_map = tl.program_id(0) < blocks
    offsets = tl.where(is_map, tl.program_id(0), tl.program_id(0) - blocks) * ROWS + tl.arange(0, ROWS)
    start, repeats = tl.where(is_map, 0, map_tokens), tl.where(is_map, map_tokens // cells, 1)
    inside = (offsets < tl.where(is_map, cells, valid_tokens - map_tokens))[:, None]
    rotates = (offsets < tl.where(is_map, cells, 0))[:, None]
    turns = rotation + offsets[:, None] * (2 * all_pairs) + 2 * pairs
    cosine = tl.load(turns, mask=rotates, other=1.0)
    sine = tl.load(turns + 1, mask=rotates, other=0.0)
    even = tl.load(weight + (2 * pairs) * C + inner[:, None])
    odd = tl.load(weight + (2 * pairs + 1) * C + inner[:, None])
    shift_even, shift_odd = tl.load(bias + 2 * pairs).to(tl.float32), tl.load(bias + 2 * pairs + 1).to(tl.float32)
    channels = tl.program_id(2) * (2 * PAIRS) + tl.arange(0, 2 * PAIRS)
    for repeat in range(0, repeats):
        row = n * tokens + start + repeat * cells + offsets[:, None]
        values = tl.load(x + row * C + inner, mask=inside, other=0.0)
        a = tl.dot(values, even, input_precision="ieee") + shift_even
        b = tl.dot(values, odd, input_precision="ieee") + shift_odd
        a, b = a * cosine - b * sine, a * sine + b * cosine
        key = tl.reshape(tl.join(a, b), (ROWS, 2 * PAIRS)).to(out.dtype.element_ty)
        tl.store(out + row * (2 * all_pairs) + channels, key, mask=inside)


if triton is not None:
    _project = triton.jit(_project)


def projected_keys(x: Tensor, weight: Tensor, bias: Tensor, rotation: Tensor, counts: Tensor, pointers: int) -> Tensor:
    """Apply a linear layer and `sam2_ros.model.position.rotate`.

    Args:
        x: [N, K, c], c a power of two, contiguous: tokens of maps of the same cells, then those of object pointers.
        weight: [dim, c], dim a power of two, 32 or more, of x's dtype.
        bias: [dim].
        rotation: complex64 [cells, dim / 2].
        counts: int32 [2, N]: number of map tokens, which come first; number of valid tokens.
        pointers: maximum number of tokens of object pointers.

    Returns:
        [N, K, dim]; undefined behind the valid tokens.
    """
    n, tokens, c = x.shape
    cells, pairs = rotation.shape
    out = torch.empty(n, tokens, 2 * pairs, dtype=x.dtype, device=x.device)
    block = min(PAIRS, pairs)
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _project[triton.cdiv(cells, ROWS) + triton.cdiv(pointers, ROWS), n, pairs // block](
            x, weight, bias, torch.view_as_real(rotation), counts, out, cells, tokens, n, pairs,
            C=c, ROWS=ROWS, PAIRS=block, num_warps=WARPS,
        )  # fmt: skip
    return out
