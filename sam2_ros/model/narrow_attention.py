"""Attention with values narrower than keys, for CUDA: the kernel that PyTorch lacks, written in Triton."""

from __future__ import annotations

from math import e, log2
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it, and never needs the kernel
    triton = None


class Blocks(NamedTuple):
    """How the work is shared out."""

    queries: int
    """Of one block of threads."""
    keys: int
    """That are looked at together."""
    warps: int
    stages: int
    """Of loading ahead."""


BLOCKS = Blocks(64, 64, 8, 2)  # fits what every GPU since Ampere has; `benchmarks/kernels.py` tries others


def _attend(
    query, key, value, valid, visited, visits, out,
    scale, heads, queries, keys,
    q_head, q_row, k_head, k_row, v_head, v_row, valid_row, visited_row,
    C: tl.constexpr, D: tl.constexpr, MASKED: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head, over all keys: softmax in one pass, rescaled when a larger score turns up."""
    head = tl.program_id(1).to(tl.int64)
    rows = tl.program_id(0) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    wide, narrow = tl.arange(0, C), tl.arange(0, D)
    there = (rows < queries)[:, None]
    q = tl.load(query + head * q_head + rows[:, None] * q_row + wide, mask=there, other=0.0)
    largest = tl.full([BLOCK_Q], -1e30, tl.float32)
    total = tl.zeros([BLOCK_Q], tl.float32)
    found = tl.zeros([BLOCK_Q, D], tl.float32)
    blocks = tl.cdiv(keys, BLOCK_K)
    if MASKED:
        blocks = tl.load(visits + head // heads)
    for i in range(0, blocks):
        block = i
        if MASKED:
            block = tl.load(visited + (head // heads) * visited_row + i)
        columns = block * BLOCK_K + tl.arange(0, BLOCK_K)
        counts = columns < keys
        k = tl.load(key + head * k_head + columns * k_row + wide[:, None], mask=counts, other=0.0)
        v = tl.load(value + head * v_head + columns[:, None] * v_row + narrow, mask=counts[:, None], other=0.0)
        if MASKED:
            counts &= tl.load(valid + (head // heads) * valid_row + columns, mask=counts, other=0) != 0
        scores = tl.dot(q, k, input_precision="ieee") * scale
        scores = tl.where(counts, scores, -float("inf"))
        new = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp2(scores - new[:, None])
        shrunk = tl.exp2(largest - new)
        total = total * shrunk + tl.sum(weights, 1)
        found = found * shrunk[:, None] + tl.dot(weights.to(v.dtype), v, input_precision="ieee")
        largest = new
    found = (found / total[:, None]).to(out.dtype.element_ty)
    tl.store(out + (head * queries + rows[:, None]) * D + narrow, found, mask=there)


if triton is not None:
    _attend = triton.jit(_attend)


def narrow_attention(
    query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None, blocks: Blocks = BLOCKS
) -> Tensor:
    """softmax(query key' / sqrt(c)) value, without the scores ever being in memory; forwards only.

    Args:
        query: [B, heads, Q, c], c a power of two, 16 or more.
        key: [B, heads, K, c].
        value: [B, heads, K, d], d likewise.
        valid: bool [B, K], False for keys to leave out; None: all count. Each row has one True at least. Where many
            in a row are left out, they cost nothing, and nobody has to wait for a GPU to know how many they are.
        blocks: other ways of sharing out the work give the same up to rounding.

    Returns:
        [B, heads, Q, d].
    """
    b, heads, q, c = query.shape
    k, d = value.shape[2:]
    query, key, value = (x.reshape(b * heads, *x.shape[2:]) for x in (query, key, value))
    query, key, value = (x if x.stride(2) == 1 else x.contiguous() for x in (query, key, value))
    out = torch.empty(b, heads, q, d, dtype=query.dtype, device=query.device)
    masked = valid is not None
    mask = visited = visits = query
    if masked:
        mask = valid.contiguous().view(torch.uint8)
        visited, visits = _visited(valid, blocks.keys)
    with torch.cuda.device_of(query):  # Triton launches on the current one
        _attend[triton.cdiv(q, blocks.queries), b * heads](
            query, key, value, mask, visited, visits, out,
            c**-0.5 * log2(e), heads, q, k,
            query.stride(0), query.stride(1), key.stride(0), key.stride(1), value.stride(0), value.stride(1),
            mask.stride(0) if masked else 0, visited.stride(0) if masked else 0,
            C=c, D=d, MASKED=masked, BLOCK_Q=blocks.queries, BLOCK_K=blocks.keys,
            num_warps=blocks.warps, num_stages=blocks.stages,
        )  # fmt: skip
    return out


@torch.library.custom_op("sam2_ros::narrow_attention", mutates_args=())
def _for_the_compiler(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
    return narrow_attention(query, key, value, valid)


@_for_the_compiler.register_fake
def _shape(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
    return query.new_empty(*query.shape[:3], value.shape[3])


def _visited(valid: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The blocks of keys in which any is valid, in order, then the others: int32 [B, blocks]; how many: int32 [B]."""
    any_valid = F.pad(valid, (0, -valid.shape[1] % size)).unflatten(1, (-1, size)).any(dim=2)
    order = any_valid.int().argsort(dim=1, descending=True, stable=True)
    return order.int(), any_valid.sum(dim=1, dtype=torch.int32)
