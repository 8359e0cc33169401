"""A layer of memory attention as CPU operators: before cross-attention, the keys of memory, after cross-attention."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_float, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weight_pointers

BEFORE = ("norm1", "self_query", "self_key", "self_value", "self_out", "norm2", "cross_query")
AFTER = ("cross_value", "cross_out", "norm3", "up", "down")


class Before(Structure):
    """Mirrors `Before` of memory_attention.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("x", "out", "query", "rotation")),
        *((name, c_long) for name in ("batch", "cells", "channels", "threads")),
        ("eps", c_float),
        *((name, Weights) for name in BEFORE),
    )


class Keys(Structure):
    """Mirrors `Keys` of memory_attention.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("tokens", "out", "rotation")),
        *((name, c_long) for name in ("batch", "count", "spatial", "cells", "in", "channels", "threads")),
        ("key", Weights),
    )


class After(Structure):
    """Mirrors `After` of memory_attention.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("x", "attended", "out")),
        *((name, c_long) for name in ("batch", "x_batch", "cells", "channels", "width", "hidden", "threads")),
        ("eps", c_float),
        *((name, Weights) for name in AFTER),
    )


# Operators, so that profilers see them.
torch.library.define(
    "sam2_ros::before_cross_attention", "(Tensor x, Tensor rotation, Tensor[] weights, float eps) -> (Tensor, Tensor)"
)
torch.library.define(
    "sam2_ros::memory_keys", "(Tensor tokens, Tensor rotation, Tensor weight, Tensor bias, int pointers) -> Tensor"
)
torch.library.define(
    "sam2_ros::after_cross_attention", "(Tensor x, Tensor attended, Tensor[] weights, float eps) -> Tensor"
)


@torch.library.impl("sam2_ros::before_cross_attention", "CPU")
def _before_cross_attention(
    x: Tensor,
    rotation: Tensor,
    weights: Sequence[Tensor],
    eps: float,
) -> tuple[Tensor, Tensor]:
    """The first half of `MemoryAttentionLayer`: norm, self-attention, norm, and queries of cross-attention.

    Args:
        x: float32 [N, cells, C], C even.
        rotation: complex64 [cells, C / 2].
        weights: weight and bias of each of `BEFORE`.

    Returns:
        x after self-attention, and rotated queries: [N, cells, C].
    """
    x, *parameters = (tensor.contiguous() for tensor in (x, *weights))
    factors = torch.view_as_real(rotation).contiguous()
    out, query = torch.empty_like(x), torch.empty_like(x)
    before = Before(
        *(tensor.data_ptr() for tensor in (x, out, query, factors)),
        *x.shape,
        torch.get_num_threads(),
        eps,
        *weight_pointers(parameters),
    )
    kernels().before_cross_attention(byref(before))
    return out, query


@torch.library.impl("sam2_ros::memory_keys", "CPU")
def _memory_keys(
    tokens: Tensor,
    rotation: Tensor,
    weight: Tensor,
    bias: Tensor,
    pointers: int,
) -> Tensor:
    """Memory tokens as rotated keys.

    Args:
        tokens: float32 [N, K, c], one or more grids of cells, then object pointers.
        rotation: complex64 [cells, C / 2].
        weight, bias: [C, c], [C].
        pointers: how many of the last tokens belong to object pointers, which are not rotated.

    Returns:
        [N, K, C].
    """
    tokens, *parameters = (tensor.contiguous() for tensor in (tokens, weight, bias))
    factors = torch.view_as_real(rotation).contiguous()
    n, count, width = tokens.shape
    spatial, cells = count - pointers, len(rotation)
    assert spatial % cells == 0, f"{spatial} tokens are no whole grids of {cells}"
    out = tokens.new_empty(n, count, weight.shape[0])
    sizes = n, count, spatial, cells, width, weight.shape[0], torch.get_num_threads()
    keys = Keys(*(tensor.data_ptr() for tensor in (tokens, out, factors)), *sizes, *weight_pointers(parameters))
    kernels().memory_keys(byref(keys))
    return out


@torch.library.impl("sam2_ros::after_cross_attention", "CPU")
def _after_cross_attention(
    x: Tensor,
    attended: Tensor,
    weights: Sequence[Tensor],
    eps: float,
) -> Tensor:
    """The rest of `MemoryAttentionLayer`: projections of the attended values, residual sum, norm and MLP.

    Args:
        x: float32 [N or 1, cells, C].
        attended: weighted mean of memory values: [N, cells, c].
        weights: weight and bias of each of `AFTER`.

    Returns:
        [N, cells, C].
    """
    x, attended, *parameters = (tensor.contiguous() for tensor in (x, attended, *weights))
    (x_batch, cells, channels), (n, _, width) = x.shape, attended.shape
    out = x.new_empty(n, cells, channels)
    sizes = n, x_batch, cells, channels, width, parameters[-2].shape[1], torch.get_num_threads()
    after = After(*(tensor.data_ptr() for tensor in (x, attended, out)), *sizes, eps, *weight_pointers(parameters))
    kernels().after_cross_attention(byref(after))
    return out


before_cross_attention = torch.ops.sam2_ros.before_cross_attention
memory_keys = torch.ops.sam2_ros.memory_keys
after_cross_attention = torch.ops.sam2_ros.after_cross_attention
