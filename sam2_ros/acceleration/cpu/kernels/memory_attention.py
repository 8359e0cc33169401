"""A layer of memory attention on CPUs: what comes before the look at memory, its keys, and what comes after."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_float, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weights_of

WITHIN = ("norm1", "query_within", "key_within", "value_within", "out_within", "norm2", "query_of_memory")
AFTER = ("value_of_memory", "out_of_memory", "norm3", "up", "down")


class Layer(Structure):
    """As in memory_attention.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("x", "out", "query", "rotation")),
        *((name, c_long) for name in ("batch", "cells", "channels", "threads")),
        ("eps", c_float),
        *((name, Weights) for name in WITHIN),
    )


class Keys(Structure):
    """As in memory_attention.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("tokens", "out", "rotation")),
        *((name, c_long) for name in ("batch", "count", "placed", "cells", "in", "channels", "threads")),
        ("key", Weights),
    )


class Rest(Structure):
    """As in memory_attention.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("x", "found", "out")),
        *((name, c_long) for name in ("batch", "of_x", "cells", "channels", "width", "hidden", "threads")),
        ("eps", c_float),
        *((name, Weights) for name in AFTER),
    )


# Operators, so that profilers see them.
torch.library.define(
    "sam2_ros::attend_within", "(Tensor x, Tensor rotation, Tensor[] weights, float eps) -> (Tensor, Tensor)"
)
torch.library.define(
    "sam2_ros::keys_of_memory", "(Tensor tokens, Tensor rotation, Tensor weight, Tensor bias, int unplaced) -> Tensor"
)
torch.library.define("sam2_ros::after_memory", "(Tensor x, Tensor found, Tensor[] weights, float eps) -> Tensor")


@torch.library.impl("sam2_ros::attend_within", "CPU")
def _attend_within(
    x: Tensor,
    rotation: Tensor,
    weights: Sequence[Tensor],
    eps: float,
) -> tuple[Tensor, Tensor]:
    """The first half of `MemoryAttentionLayer`: norm, self-attention, norm, and queries for the look at memory.

    Args:
        x: float32 [N, cells, C], C even.
        rotation: complex64 [cells, C / 2].
        weights: weight and bias of each of `WITHIN`.

    Returns:
        What x becomes, and the queries: [N, cells, C].
    """
    x, *kept = (tensor.contiguous() for tensor in (x, *weights))
    turns = torch.view_as_real(rotation).contiguous()
    out, query = torch.empty_like(x), torch.empty_like(x)
    layer = Layer(
        *(tensor.data_ptr() for tensor in (x, out, query, turns)),
        *x.shape,
        torch.get_num_threads(),
        eps,
        *weights_of(kept),
    )
    kernels().attend_within(byref(layer))
    return out, query


@torch.library.impl("sam2_ros::keys_of_memory", "CPU")
def _keys_of_memory(
    tokens: Tensor,
    rotation: Tensor,
    weight: Tensor,
    bias: Tensor,
    unplaced: int,
) -> Tensor:
    """Memory's tokens as keys, turned by their place.

    Args:
        tokens: float32 [N, K, c], whole grids of cells, and then those that have no place.
        rotation: complex64 [cells, C / 2].
        weight, bias: [C, c], [C].
        unplaced: how many of the last tokens have no place, and are not turned.

    Returns:
        [N, K, C].
    """
    tokens, *kept = (tensor.contiguous() for tensor in (tokens, weight, bias))
    turns = torch.view_as_real(rotation).contiguous()
    n, count, width = tokens.shape
    placed, cells = count - unplaced, len(rotation)
    assert placed % cells == 0, f"{placed} tokens are no whole grids of {cells}"
    out = tokens.new_empty(n, count, weight.shape[0])
    sizes = n, count, placed, cells, width, weight.shape[0], torch.get_num_threads()
    keys = Keys(*(tensor.data_ptr() for tensor in (tokens, out, turns)), *sizes, *weights_of(kept))
    kernels().keys_of_memory(byref(keys))
    return out


@torch.library.impl("sam2_ros::after_memory", "CPU")
def _after_memory(
    x: Tensor,
    found: Tensor,
    weights: Sequence[Tensor],
    eps: float,
) -> Tensor:
    """The rest of `MemoryAttentionLayer`: what was found is projected and added; norm and MLP.

    Args:
        x: float32 [N or 1, cells, C].
        found: a mean of memory's values for each token: [N, cells, c].
        weights: weight and bias of each of `AFTER`.

    Returns:
        [N, cells, C].
    """
    x, found, *kept = (tensor.contiguous() for tensor in (x, found, *weights))
    (of_x, cells, channels), (n, _, width) = x.shape, found.shape
    out = x.new_empty(n, cells, channels)
    sizes = n, of_x, cells, channels, width, kept[-2].shape[1], torch.get_num_threads()
    rest = Rest(*(tensor.data_ptr() for tensor in (x, found, out)), *sizes, eps, *weights_of(kept))
    kernels().after_memory(byref(rest))
    return out


attend_within = torch.ops.sam2_ros.attend_within
keys_of_memory = torch.ops.sam2_ros.keys_of_memory
after_memory = torch.ops.sam2_ros.after_memory
