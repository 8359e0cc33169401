"""What the mask decoder's own tokens say, on CPUs in one operator."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weights_of

LAYERS = 3
"""Of each MLP."""


class Heads(Structure):
    """As in token_heads.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("tokens", "result")),
        ("head", POINTER(Weights)),
        *((name, POINTER(c_long)) for name in ("hidden", "out")),
        *((name, c_long) for name in ("apart", "batch", "channels", "heads", "threads")),
    )


# An operator, so that profilers see it.
torch.library.define("sam2_ros::token_heads", "(Tensor tokens, Tensor[] weights) -> Tensor")


@torch.library.impl("sam2_ros::token_heads", "CPU")
def _token_heads(tokens: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """MLPs of `LAYERS` layers with "relu" between them, each on a token of its own.

    Args:
        tokens: float32 [N, M, C], also the first of more.
        weights: weight and bias of each layer of M MLPs, whose hidden layers are of one width.

    Returns:
        What each MLP says, one behind the other: [N, sum of widths].
    """
    tokens = tokens if tokens.stride()[1:] == (tokens.shape[2], 1) else tokens.contiguous()
    n, heads, channels = tokens.shape
    kept = [tensor.contiguous() for tensor in weights]
    layers, widths = weights_of(kept), [bias.shape[0] for bias in kept[1::2]]
    hidden, out = widths[::LAYERS], widths[LAYERS - 1 :: LAYERS]
    result = tokens.new_empty(n, sum(out))
    arrays = (Weights * len(layers))(*layers), (c_long * heads)(*hidden), (c_long * heads)(*out)
    sizes = tokens.stride(0), n, channels, heads, torch.get_num_threads()
    kernels().token_heads(byref(Heads(tokens.data_ptr(), result.data_ptr(), *arrays, *sizes)))
    return result


token_heads = torch.ops.sam2_ros.token_heads
