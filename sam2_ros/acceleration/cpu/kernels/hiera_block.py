"""A block of the image encoder as one CPU operator."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_float, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weight_pointers

LAYERS = ("norm1", "qkv", "proj", "shortcut", "norm2", "up", "down")


class Block(Structure):
    """Mirrors `Block` of hiera_block.cpp."""

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
    """`sam2_ros.model.hiera.Block`.

    Args:
        x: float32 [B, H, W, C]; when pooling, H, W and window are even.
        weights: weight and bias of norm1, qkv, proj, the shortcut (when pooling), norm2, and both layers of the MLP.
        window: side in tokens; 0: global attention.

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
    layers = weight_pointers(pairs)
    if not pool:
        layers.insert(LAYERS.index("shortcut"), Weights())
    sizes = b, h, w, c, channels, heads, window, pool, torch.get_num_threads()
    block = Block(x.data_ptr(), out.data_ptr(), *sizes, eps, *layers)
    kernels().hiera_block(byref(block))
    return out


hiera_block = torch.ops.sam2_ros.hiera_block
