"""Attention with values narrower than keys, for CUDA: the kernel that PyTorch lacks, written in Triton."""

from __future__ import annotations

from functools import lru_cache
from math import e, log2
from typing import NamedTuple

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None


class Blocks(NamedTuple):
    """Division of the work among blocks of threads."""

    queries: int
    """Queries per block of threads."""
    keys: int
    """Keys per load."""
    warps: int
    stages: int
    """Stages of the software pipeline that loads ahead."""
    wanted: int = 1
    """Blocks of threads for each multiprocessor; with too few queries for that, keys are split as well."""


SHARES = {200 * 1024: Blocks(128, 64, 8, 3), 160 * 1024: Blocks(64, 64, 4, 3), 0: Blocks(64, 64, 8, 2)}
"""Minimum shared memory per block of threads, bytes -> division: Hopper; A100 and Orin; others since Ampere."""

WIDE = Blocks(128, 64, 8, 2)
"""Division for values wider than 64, with `MIN_SHARED_MEMORY_OF_WIDE`."""

MAX_DECODER_TOKENS = 32
"""Maximum number of queries or keys of one head that counts as few: a decoder's tokens, and not an image's."""

FEW_QUERIES, FEW_KEYS = Blocks(16, 128, 4, 2, wanted=8), Blocks(128, 16, 4, 1)
"""Divisions for at most `MAX_DECODER_TOKENS` queries, or keys."""

MIN_BLOCKS_OF_PART = 2
"""Minimum number of blocks of keys in a part."""

MAX_PARTS = 16
"""Maximum number of parts into which the keys are split."""

MIN_SHARED_MEMORY_OF_WIDE = 200 * 1024
"""Minimum shared memory per block of threads, bytes, for values wider than 64."""


def _accumulate(
    q, key, value, largest, total, accumulator, columns, keys, scale, k_row, v_row,
    C: tl.constexpr, D: tl.constexpr, TAIL: tl.constexpr,
):  # fmt: skip
    """Attend to one more block of keys; earlier sums are rescaled when a larger score comes. TAIL: a partial block."""
    wide, narrow = tl.arange(0, C), tl.arange(0, D)
    if TAIL:
        mask = columns < keys
        k = tl.load(key + columns * k_row + wide[:, None], mask=mask, other=0.0)
        v = tl.load(value + columns[:, None] * v_row + narrow, mask=mask[:, None], other=0.0)
    else:
        k = tl.load(key + columns * k_row + wide[:, None])
        v = tl.load(value + columns[:, None] * v_row + narrow)
    scores = tl.dot(q, k, input_precision="ieee") * scale
    if TAIL:
        scores = tl.where(mask, scores, -float("inf"))
    maximum = tl.maximum(largest, tl.max(scores, 1))
    weights = tl.exp2(scores - maximum[:, None])
    rescale = tl.exp2(largest - maximum)
    total = total * rescale + tl.sum(weights, 1)
    accumulator = accumulator * rescale[:, None] + tl.dot(weights.to(v.dtype), v, input_precision="ieee")
    return maximum, total, accumulator


def _attend(
    query, key, value, lengths, out, log_totals,
    scale, heads, queries, keys, parts,
    q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row, o_part, o_batch, o_head, o_row,
    C: tl.constexpr, D: tl.constexpr, RAGGED: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
    SPLIT: tl.constexpr,
):  # fmt: skip
    """Attend with one block of queries of one head to one part of the keys: softmax in one pass. If keys are split into
    parts, each part writes its mean in float32, and the log2 of its sum of weights."""
    batch, head = (tl.program_id(1) // heads).to(tl.int64), tl.program_id(1) % heads
    part = tl.program_id(2)
    rows = tl.program_id(0) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    mask = (rows < queries)[:, None]
    wide, narrow = tl.arange(0, C), tl.arange(0, D)
    q = tl.load(query + batch * q_batch + head * q_head + rows[:, None] * q_row + wide, mask=mask, other=0.0)
    key += batch * k_batch + head * k_head
    value += batch * v_batch + head * v_head
    if RAGGED:
        keys = tl.load(lengths + batch)
    largest = tl.full([BLOCK_Q], -1e30, tl.float32)
    total = tl.zeros([BLOCK_Q], tl.float32)
    accumulator = tl.zeros([BLOCK_Q, D], tl.float32)
    blocks, full = tl.cdiv(keys, BLOCK_K), keys // BLOCK_K
    share = tl.cdiv(blocks, parts)
    for block in range(part * share, tl.minimum(full, (part + 1) * share)):
        columns = block * BLOCK_K + tl.arange(0, BLOCK_K)
        largest, total, accumulator = _accumulate(
            q, key, value, largest, total, accumulator, columns, keys, scale, k_row, v_row, C, D, False
        )
    if (full < blocks) & (part == full // share):
        columns = full * BLOCK_K + tl.arange(0, BLOCK_K)
        largest, total, accumulator = _accumulate(
            q, key, value, largest, total, accumulator, columns, keys, scale, k_row, v_row, C, D, True
        )
    offset = part.to(tl.int64) * o_part + batch * o_batch + head * o_head
    if SPLIT:
        rows_of_part = (part * tl.num_programs(1) + tl.program_id(1)) * queries + rows
        tl.store(
            log_totals + rows_of_part, largest + tl.log2(total), mask=rows < queries
        )  # -inf for a part without any key
        total = tl.where(total > 0, total, 1.0)
    accumulator = (accumulator / total[:, None]).to(out.dtype.element_ty)
    tl.store(out + offset + rows[:, None] * o_row + narrow, accumulator, mask=mask)


def _combine(
    means, log_totals, out, all_rows, parts, heads, queries, o_batch, o_head, o_row,
    D: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The mean of the parts' means, each weighted with its sum of weights."""
    rows = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    narrow = tl.arange(0, D)
    mask = rows < all_rows
    largest = tl.full([BLOCK], -float("inf"), tl.float32)
    for part in range(0, parts):
        largest = tl.maximum(largest, tl.load(log_totals + part * all_rows + rows, mask=mask, other=0.0))
    total = tl.zeros([BLOCK], tl.float32)
    accumulator = tl.zeros([BLOCK, D], tl.float32)
    for part in range(0, parts):
        weight = tl.exp2(tl.load(log_totals + part * all_rows + rows, mask=mask, other=0.0) - largest)
        total += weight
        offsets = means + (part * all_rows + rows[:, None]) * D + narrow
        accumulator += weight[:, None] * tl.load(offsets, mask=mask[:, None], other=0.0)
    accumulator = (accumulator / total[:, None]).to(out.dtype.element_ty)
    batch_and_head, row = rows // queries, rows % queries
    offsets = batch_and_head // heads * o_batch + batch_and_head % heads * o_head + row * o_row
    tl.store(out + offsets[:, None] + narrow, accumulator, mask=mask[:, None])


if triton is not None:
    _accumulate, _attend, _combine = triton.jit(_accumulate), triton.jit(_attend), triton.jit(_combine)


def narrow_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Tensor | None = None,
    blocks: Blocks | None = None,
    parts: int | None = None,
) -> Tensor:
    """softmax(query key' / sqrt(c)) value, without writing the scores to memory; forward only.

    Args:
        query: [B, heads, Q, c], c a power of two, 16 or more.
        key: [B, heads, K, c].
        value: [B, heads, K, d], d a power of two, 16 or more.
        lengths: int32 [B], number of valid keys, which come first, at least one; None: all are valid. The host need not
            know them, so that it waits for nothing, and invalid keys cost nothing.
        blocks, parts: division of the work, which changes the result by rounding only. None: one that suits the GPU.

    Returns:
        [B, heads, Q, d]; in memory [B, Q, heads, d], as the next layer reads them.
    """
    b, heads, q, c = query.shape
    k, d = value.shape[2:]
    query, key, value = (x if x.stride(3) == 1 else x.contiguous() for x in (query, key, value))
    memory, processors = abilities(query.device)
    blocks = blocks or _blocks(memory, q, k, d)
    across = triton.cdiv(q, blocks.queries)
    share = max(1, blocks.wanted * processors // (across * b * heads))
    parts = parts or min(MAX_PARTS, triton.cdiv(k, blocks.keys * MIN_BLOCKS_OF_PART), share)
    out = torch.empty(b, q, heads, d, dtype=query.dtype, device=query.device).transpose(1, 2)
    means, log_totals = out, out
    if parts > 1:
        means = torch.empty(parts, b, heads, q, d, dtype=torch.float32, device=query.device)
        log_totals = torch.empty(parts, b, heads, q, dtype=torch.float32, device=query.device)
    with torch.cuda.device_of(query):  # Triton launches on the current device
        _attend[across, b * heads, parts](
            query, key, value, query if lengths is None else lengths, means, log_totals,
            c**-0.5 * log2(e), heads, q, k, parts,
            *query.stride()[:3], *key.stride()[:3], *value.stride()[:3],
            *means[None].stride()[-5:-1],
            C=c, D=d, RAGGED=lengths is not None, BLOCK_Q=blocks.queries, BLOCK_K=blocks.keys, SPLIT=parts > 1,
            num_warps=blocks.warps, num_stages=blocks.stages,
        )  # fmt: skip
        if parts > 1:
            rows = b * heads * q
            _combine[triton.cdiv(rows, 32),](
                means, log_totals, out, rows, parts, heads, q, *out.stride()[:3], D=d, BLOCK=32
            )  # fmt: skip
    return out


def _blocks(memory: int, queries: int, keys: int, width: int) -> Blocks:
    if min(queries, keys) <= MAX_DECODER_TOKENS:
        return FEW_QUERIES if queries <= MAX_DECODER_TOKENS else FEW_KEYS
    if width > 64 and memory >= MIN_SHARED_MEMORY_OF_WIDE:
        return WIDE
    return next(share for least, share in SHARES.items() if memory >= least)


def takes_wide_values(device: torch.device) -> bool:
    """Whether values may be 256 wide."""
    return abilities(device)[0] >= MIN_SHARED_MEMORY_OF_WIDE


@lru_cache(maxsize=16)
def abilities(device: torch.device) -> tuple[int, int]:
    """Maximum shared memory per block of threads, bytes, and number of multiprocessors."""
    if device.type != "cuda":  # in Triton's interpreter
        return 0, 1
    properties = torch.cuda.get_device_properties(device)
    return properties.shared_memory_per_block_optin, properties.multi_processor_count
