"""Attention with values narrower than keys, for CUDA: the kernel that PyTorch lacks, written in Triton."""

from __future__ import annotations

from functools import lru_cache
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


SHARES = {200 * 1024: Blocks(128, 64, 8, 3), 160 * 1024: Blocks(64, 64, 4, 3), 0: Blocks(64, 64, 8, 2)}
"""By the least shared memory, bytes, that a block of threads may have: Hopper, A100 and Orin, others since Ampere."""

WAVES = 2
"""So many blocks of threads for each multiprocessor are wanted: where queries are few, keys are shared out as well."""

MOST_PARTS = 16
"""Into which the keys are shared out."""


def _attend(
    query, key, value, valid, visited, visits, out, totals,
    scale, heads, queries, keys, parts,
    q_head, q_row, k_head, k_row, v_head, v_row, valid_row, visited_row,
    C: tl.constexpr, D: tl.constexpr, MASKED: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
    SPLIT: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head, over one part of the keys: softmax in one pass, rescaled when a larger score
    turns up. Where keys are split into parts, each leaves its mean in float32, and the log2 of its sum of weights."""
    head = tl.program_id(1).to(tl.int64)
    part = tl.program_id(2)
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
    share = tl.cdiv(blocks, parts)
    for i in range(part * share, tl.minimum(blocks, (part + 1) * share)):
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
    where = (part * tl.num_programs(1) + head) * queries + rows
    if SPLIT:
        tl.store(totals + where, largest + tl.log2(total), mask=rows < queries)  # -inf for a part without any key
        total = tl.where(total > 0, total, 1.0)
    found = (found / total[:, None]).to(out.dtype.element_ty)
    tl.store(out + where[:, None] * D + narrow, found, mask=there)


def _join(each, totals, out, rows_in_all, parts, D: tl.constexpr, BLOCK: tl.constexpr):
    """The mean of the parts' means, each weighted with its sum of weights."""
    rows = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    narrow = tl.arange(0, D)
    there = rows < rows_in_all
    largest = tl.full([BLOCK], -float("inf"), tl.float32)
    for part in range(0, parts):
        largest = tl.maximum(largest, tl.load(totals + part * rows_in_all + rows, mask=there, other=0.0))
    total = tl.zeros([BLOCK], tl.float32)
    found = tl.zeros([BLOCK, D], tl.float32)
    for part in range(0, parts):
        weight = tl.exp2(tl.load(totals + part * rows_in_all + rows, mask=there, other=0.0) - largest)
        total += weight
        where = each + (part * rows_in_all + rows[:, None]) * D + narrow
        found += weight[:, None] * tl.load(where, mask=there[:, None], other=0.0)
    found = (found / total[:, None]).to(out.dtype.element_ty)
    tl.store(out + rows[:, None] * D + narrow, found, mask=there[:, None])


if triton is not None:
    _attend, _join = triton.jit(_attend), triton.jit(_join)


def narrow_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    valid: Tensor | None = None,
    blocks: Blocks | None = None,
    parts: int | None = None,
) -> Tensor:
    """softmax(query key' / sqrt(c)) value, without the scores ever being in memory; forwards only.

    Args:
        query: [B, heads, Q, c], c a power of two, 16 or more.
        key: [B, heads, K, c].
        value: [B, heads, K, d], d likewise.
        valid: bool [B, K], False for keys to leave out; None: all count. Each row has one True at least. Where many
            in a row are left out, they cost nothing, and nobody has to wait for a GPU to know how many they are.
        blocks, parts: other ways of sharing out the work give the same up to rounding. None: what suits the GPU.

    Returns:
        [B, heads, Q, d].
    """
    b, heads, q, c = query.shape
    k, d = value.shape[2:]
    query, key, value = (x.reshape(b * heads, *x.shape[2:]) for x in (query, key, value))
    query, key, value = (x if x.stride(2) == 1 else x.contiguous() for x in (query, key, value))
    memory, processors = _abilities(query.device)
    blocks = blocks or next(share for least, share in SHARES.items() if memory >= least)
    across = triton.cdiv(q, blocks.queries)
    parts = parts or min(
        MOST_PARTS, triton.cdiv(k, 8 * blocks.keys), max(1, WAVES * processors // (across * b * heads))
    )
    out = torch.empty(b, heads, q, d, dtype=query.dtype, device=query.device)
    each, totals = out, out
    if parts > 1:
        each = torch.empty(parts, b * heads, q, d, dtype=torch.float32, device=query.device)
        totals = torch.empty(parts, b * heads, q, dtype=torch.float32, device=query.device)
    masked = valid is not None
    mask = visited = visits = query
    if masked:
        mask = valid.contiguous().view(torch.uint8)
        visited, visits = _visited(valid, blocks.keys)
    with torch.cuda.device_of(query):  # Triton launches on the current one
        _attend[across, b * heads, parts](
            query, key, value, mask, visited, visits, each, totals,
            c**-0.5 * log2(e), heads, q, k, parts,
            query.stride(0), query.stride(1), key.stride(0), key.stride(1), value.stride(0), value.stride(1),
            mask.stride(0) if masked else 0, visited.stride(0) if masked else 0,
            C=c, D=d, MASKED=masked, BLOCK_Q=blocks.queries, BLOCK_K=blocks.keys, SPLIT=parts > 1,
            num_warps=blocks.warps, num_stages=blocks.stages,
        )  # fmt: skip
        if parts > 1:
            rows = b * heads * q
            _join[triton.cdiv(rows, 32),](each, totals, out, rows, parts, D=d, BLOCK=32)
    return out


@lru_cache(maxsize=16)
def _abilities(device: torch.device) -> tuple[int, int]:
    """Shared memory that a block of threads may have, bytes; multiprocessors."""
    if device.type != "cuda":  # in Triton's interpreter
        return 0, 1
    properties = torch.cuda.get_device_properties(device)
    return properties.shared_memory_per_block_optin, properties.multi_processor_count


def _visited(valid: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The blocks of keys in which any is valid, in order, then the others: int32 [B, blocks]; how many: int32 [B]."""
    any_valid = F.pad(valid, (0, -valid.shape[1] % size)).unflatten(1, (-1, size)).any(dim=2)
    order = any_valid.int().argsort(dim=1, descending=True, stable=True)
    return order.int(), any_valid.sum(dim=1, dtype=torch.int32)
