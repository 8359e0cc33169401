"""A block of the image encoder on CPUs, in one operator."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_float, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weights_of

LAYERS = ("norm1", "qkv", "proj", "shortcut", "norm2", "up", "down")


class Block(Structure):
    """As in hiera_block.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("x", "out")),
        *((name, c_long) for name in ("batch", "height", "width", "in", "channels", "heads", "window", "pool")),
        ("threads", c_long),
        ("eps", c_float),
        *((name, Weights) for name in LAYERS),
    )


# An operator, so that profilers see it.
torch.library.define(
    "sam2_ros::hiera_block", "(Tensor x, Tensor[] weights, int heads, int window, float eps) -> Tensor"
)


@torch.library.impl("sam2_ros::hiera_block", "CPU")
def _hiera_block(x: Tensor, weights: Sequence[Tensor], heads: int, window: int, eps: float) -> Tensor:
    """What `hiera.Block` computes.

    Args:
        x: float32 [B, H, W, C]; where queries are pooled, H and W are even, and so is the window.
        weights: weight and bias of norm1, qkv, proj, the shortcut where queries are pooled, norm2, and both layers of
            the MLP.
        window: its side; 0: all tokens of an image attend to each other.

    Returns:
        [B, H, W, D], or half the height and width when pooling.
    """
    pool = len(weights) == 2 * len(LAYERS)
    x, *pairs = (tensor.contiguous() for tensor in (x, *weights))
    b, h, w, c = x.shape
    channels = pairs[4].shape[0]
    assert not (pool and (h % 2 or w % 2 or window % 2)), f"{h} x {w} tokens in windows of {window} cannot be pooled"
    out = x.new_empty(b, *((h // 2, w // 2) if pool else (h, w)), channels)
    if not out.numel():
        return out
    given = weights_of(pairs)
    if not pool:
        given.insert(LAYERS.index("shortcut"), Weights())
    sizes = b, h, w, c, channels, heads, window, pool, torch.get_num_threads()
    block = Block(x.data_ptr(), out.data_ptr(), *sizes, eps, *given)
    kernels().hiera_block(byref(block))
    return out


hiera_block = torch.ops.sam2_ros.hiera_block
