"""Attention within the windows of an image encoder, for CUDA: they are so small that PyTorch's kernels, made for long
sequences, mostly compute padding, and need queries pooled and copied before. Written in Triton."""

from __future__ import annotations

from math import e, log2

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

BLOCK = 64
"""Queries, and keys, per block of threads and load; smaller windows share a block."""


def _attend(
    qkv, out, scale, tokens, queries, heads,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, POOL: tl.constexpr, TOGETHER: tl.constexpr,
    C: tl.constexpr, WIDE: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Attend with some queries of one head, of one window or of a few neighbouring ones, each with its own keys.
    Softmax in one pass, rescaled when a larger score comes."""
    SIZE: tl.constexpr = HEIGHT * WIDTH
    QUERIES: tl.constexpr = (HEIGHT // 2) * (WIDTH // 2) if POOL else SIZE  # queries of a window
    group = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    channels = tl.arange(0, WIDE)
    channel_mask = (channels < C)[None, :]
    step = 3 * heads * C  # from token to token
    first = qkv + group * (TOGETHER * SIZE) * step + head * C + channels[None, :]

    rows = tl.program_id(2) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    row_mask = (rows < TOGETHER * QUERIES) & (group * (TOGETHER * QUERIES) + rows < queries)
    query_mask = row_mask[:, None] & channel_mask
    if POOL:
        cell = rows % QUERIES
        token = rows // QUERIES * SIZE + cell // (WIDTH // 2) * (2 * WIDTH) + cell % (WIDTH // 2) * 2
        corner = first + token[:, None] * step
        below = corner + WIDTH * step
        upper = tl.maximum(
            tl.load(corner, mask=query_mask, other=0.0), tl.load(corner + step, mask=query_mask, other=0.0)
        )
        lower = tl.maximum(
            tl.load(below, mask=query_mask, other=0.0), tl.load(below + step, mask=query_mask, other=0.0)
        )
        q = tl.maximum(upper, lower).to(qkv.dtype.element_ty)
    else:
        q = tl.load(first + rows[:, None] * step, mask=query_mask, other=0.0)

    largest = tl.full([BLOCK_Q], -1e30, tl.float32)
    total = tl.zeros([BLOCK_Q], tl.float32)
    accumulator = tl.zeros([BLOCK_Q, WIDE], tl.float32)
    for start in range(0, TOGETHER * SIZE, BLOCK_K):
        columns = start + tl.arange(0, BLOCK_K)
        key_mask = (columns < TOGETHER * SIZE) & (group * (TOGETHER * SIZE) + columns < tokens)
        key = first + heads * C + columns[:, None] * step
        k = tl.load(key, mask=key_mask[:, None] & channel_mask, other=0.0)
        v = tl.load(key + heads * C, mask=key_mask[:, None] & channel_mask, other=0.0)
        scores = tl.dot(q, k.T, input_precision="ieee") * scale
        visible = key_mask[None, :]
        if TOGETHER > 1:
            visible = visible & ((rows // QUERIES)[:, None] == (columns // SIZE)[None, :])
        scores = tl.where(visible, scores, -float("inf"))
        maximum = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp2(scores - maximum[:, None])
        rescale = tl.exp2(largest - maximum)
        total = total * rescale + tl.sum(weights, 1)
        accumulator = accumulator * rescale[:, None] + tl.dot(weights.to(v.dtype), v, input_precision="ieee")
        largest = maximum
    accumulator = (accumulator / total[:, None]).to(out.dtype.element_ty)
    row = group * (TOGETHER * QUERIES) + rows
    tl.store(out + row[:, None] * (heads * C) + head * C + channels[None, :], accumulator, mask=query_mask)


if triton is not None:
    _attend = triton.jit(_attend)


def window_attention(qkv: Tensor, heads: int, pool: bool = False) -> Tensor:
    """softmax(query key' / sqrt(c)) value within each window; forward only.

    Args:
        qkv: queries, keys and values next to each other, [windows, H, W, 3 * heads * c], contiguous.
        pool: queries are max-pooled 2x2 first.

    Returns:
        [windows, H, W, heads * c], or half the height and width.
    """
    assert qkv.is_contiguous()
    windows, height, width, wide = qkv.shape
    c = wide // (3 * heads)
    size = height * width
    h, w = (height // 2, width // 2) if pool else (height, width)
    together = max(1, BLOCK // size)
    block = min(BLOCK, max(16, triton.next_power_of_2(together * h * w)))
    out = torch.empty(windows, h, w, heads * c, dtype=qkv.dtype, device=qkv.device)
    with torch.cuda.device_of(qkv):  # Triton launches on the current device
        _attend[triton.cdiv(windows, together), heads, triton.cdiv(together * h * w, block)](
            qkv, out, c**-0.5 * log2(e), windows * size, windows * h * w, heads,
            HEIGHT=height, WIDTH=width, POOL=pool, TOGETHER=together,
            C=c, WIDE=max(16, triton.next_power_of_2(c)), BLOCK_Q=block, BLOCK_K=BLOCK,
            num_warps=4 if size <= BLOCK else 8, num_stages=2,
        )  # fmt: skip
    return out
