"""Memories as tokens, for CUDA: valid ones packed to the front, as attention reads them, in one pass over memory where
PyTorch makes eight. Written in Triton."""

from __future__ import annotations

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

CELLS = 64
"""Cells per block of threads."""


def _write_maps(
    maps, age, valid, spatial, temporal, value, key, slots, cells, tokens, kinds, batch, slot, channel, cell,
    C: tl.constexpr, SLOTS: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Write some cells of one map behind those of the object's earlier maps."""
    n, m = (tl.program_id(1) // slots).to(tl.int64), tl.program_id(1) % slots
    indices = tl.arange(0, SLOTS)
    before = tl.sum(tl.load(valid + n * slots + indices, mask=indices < m, other=0).to(tl.int32))
    if tl.load(valid + n * slots + m) != 0:
        cell_indices = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
        channels = tl.arange(0, C)
        mask = (cell_indices < cells)[:, None]
        source = maps + n * batch + m * slot + cell_indices[:, None] * cell + channels * channel
        values = tl.load(source, mask=mask, other=0.0)
        kind = (tl.load(age + n * slots + m).to(tl.int32) + kinds - 1) % kinds  # age 0 reads the last row
        position = tl.load(spatial + channels * cells + cell_indices[:, None], mask=mask, other=0.0)
        position += tl.load(temporal + kind * C + channels)[None, :]
        target = (n * tokens + before * cells + cell_indices[:, None]) * C + channels
        tl.store(value + target, values, mask=mask)
        tl.store(key + target, (values.to(tl.float32) + position).to(key.dtype.element_ty), mask=mask)


def _write_pointers(
    pointers, valid, position, map_valid, value, key, counts, objects, slots, map_slots, cells, tokens, parts,
    DIM: tl.constexpr, C: tl.constexpr, SLOTS: tl.constexpr, MAP_SLOTS: tl.constexpr,
):  # fmt: skip
    """Write one object pointer behind the maps and the earlier pointers, and the number of tokens."""
    programs = tl.num_programs(0) // objects
    n, p = (tl.program_id(0) // programs).to(tl.int64), tl.program_id(0) % programs
    indices, map_indices = tl.arange(0, SLOTS), tl.arange(0, MAP_SLOTS)
    maps = tl.sum(tl.load(map_valid + n * map_slots + map_indices, mask=map_indices < map_slots, other=0).to(tl.int32))
    is_valid = tl.load(valid + n * slots + indices, mask=indices < slots, other=0).to(tl.int32)
    if p == 0:
        tl.store(counts + n, maps * cells)
        tl.store(counts + objects + n, maps * cells + tl.sum(is_valid) * parts)
    if tl.sum(tl.where(indices == p, is_valid, 0)) != 0:
        channels = tl.arange(0, DIM)
        values = tl.load(pointers + (n * slots + p) * DIM + channels).to(tl.float32)
        pointer_position = tl.load(position + (n * slots + p) * C + channels % C).to(tl.float32)
        before = maps * cells + tl.sum(tl.where(indices < p, is_valid, 0)) * parts
        target = (n * tokens + before) * C + channels
        tl.store(value + target, values.to(value.dtype.element_ty))
        tl.store(key + target, (values + pointer_position).to(key.dtype.element_ty))


if triton is not None:
    _write_maps, _write_pointers = triton.jit(_write_maps), triton.jit(_write_pointers)


def memory_tokens(
    maps: Tensor,
    map_age: Tensor,
    map_valid: Tensor | None,
    pointers: Tensor,
    pointer_valid: Tensor | None,
    spatial: Tensor,
    temporal: Tensor,
    pointer_position: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Lay out the memories of N objects as tokens: those of valid maps, then those of valid object pointers.

    Args:
        maps: [N, M, c, h, w], M of 1 or more, c a power of two; channels may be last in memory.
        map_age: int64 [N, M], as in `Memories`.
        map_valid: bool [N, M]; None: all are valid.
        pointers: [N, P, C], C a power of two.
        pointer_valid: bool [N, P]; None: all are valid.
        spatial: float32 [c, h, w], position encoding of the image's cells.
        temporal: float32 [kinds, c], temporal position by age; the last is for age 0.
        pointer_position: [N, P, c].

    Returns:
        Values [N, K, c] and keys, to which position was added, in the maps' dtype, undefined behind the valid tokens;
        and int32 [2, N]: number of map tokens, and number of valid tokens.
    """
    n, m, c, h, w = maps.shape
    p, dim = pointers.shape[1:]
    if maps.stride(3) != w * maps.stride(4):
        maps = maps.contiguous()
    cells, parts = h * w, dim // c
    tokens = m * cells + p * parts
    value = torch.empty(n, tokens, c, dtype=maps.dtype, device=maps.device)
    key, counts = torch.empty_like(value), torch.empty(2, n, dtype=torch.int32, device=maps.device)
    map_valid = (torch.ones_like(map_age, dtype=torch.bool) if map_valid is None else map_valid).contiguous()
    if pointer_valid is None:
        pointer_valid = torch.ones(n, p, dtype=torch.bool, device=maps.device)
    map_mask, pointer_mask = map_valid.view(torch.uint8), pointer_valid.contiguous().view(torch.uint8)
    with torch.cuda.device_of(maps):  # Triton launches on the current device
        _write_maps[triton.cdiv(cells, CELLS), n * m](
            maps, map_age.contiguous(), map_mask, spatial.contiguous(), temporal.contiguous(), value, key,
            m, cells, tokens, len(temporal), *maps.stride()[:3], maps.stride(4),
            C=c, SLOTS=triton.next_power_of_2(m), CELLS=CELLS,
        )  # fmt: skip
        _write_pointers[n * max(p, 1),](
            pointers.contiguous(), pointer_mask, pointer_position.contiguous(), map_mask, value, key, counts,
            n, p, m, cells, tokens, parts,
            DIM=dim, C=c, SLOTS=triton.next_power_of_2(max(p, 1)), MAP_SLOTS=triton.next_power_of_2(m),
        )  # fmt: skip
    return value, key, counts
