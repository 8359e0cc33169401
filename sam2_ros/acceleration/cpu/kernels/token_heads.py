"""The MLPs on the mask decoder's output tokens as one CPU operator."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weight_pointers

LAYERS = 3
"""Layers of each MLP."""


class Heads(Structure):
    """Mirrors `Heads` of token_heads.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("tokens", "result")),
        ("head", POINTER(Weights)),
        *((name, POINTER(c_long)) for name in ("hidden", "out")),
        *((name, c_long) for name in ("token_stride", "batch", "channels", "heads", "threads")),
    )


# An operator, so that profilers see it.
torch.library.define("sam2_ros::token_heads", "(Tensor tokens, Tensor[] weights) -> Tensor")


@torch.library.impl("sam2_ros::token_heads", "CPU")
def _token_heads(tokens: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """M MLPs of `LAYERS` layers with ReLU between them, the i-th on the i-th token.

    Args:
        tokens: float32 [N, M, C]; may be a slice of more tokens.
        weights: weight and bias of each layer of each MLP; the hidden layers of an MLP have one width.

    Returns:
        Outputs of all MLPs, concatenated: [N, sum of widths].
    """
    tokens = tokens if tokens.stride()[1:] == (tokens.shape[2], 1) else tokens.contiguous()
    n, heads, channels = tokens.shape
    parameters = [tensor.contiguous() for tensor in weights]
    layers, widths = weight_pointers(parameters), [bias.shape[0] for bias in parameters[1::2]]
    hidden, out = widths[::LAYERS], widths[LAYERS - 1 :: LAYERS]
    result = tokens.new_empty(n, sum(out))
    arrays = (Weights * len(layers))(*layers), (c_long * heads)(*hidden), (c_long * heads)(*out)
    sizes = tokens.stride(0), n, channels, heads, torch.get_num_threads()
    kernels().token_heads(byref(Heads(tokens.data_ptr(), result.data_ptr(), *arrays, *sizes)))
    return result


token_heads = torch.ops.sam2_ros.token_heads
