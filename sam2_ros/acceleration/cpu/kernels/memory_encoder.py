"""The memory encoder as one CPU operator."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_float, c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels
from sam2_ros.acceleration.cpu.kernels.transformer import Weights, weight_pointers

LAYERS, BLOCKS = 19, 2


class Encoder(Structure):
    """Mirrors `Encoder` of memory_encoder.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("features", "logits", "prompted", "out")),
        *((name, c_long) for name in ("images", "objects", "height", "width", "dim", "memory_dim", "threads")),
        ("eps", c_float),
        ("layers", Weights * LAYERS),
        ("scales", c_void_p * BLOCKS),
    )


# An operator, so that profilers see it.
torch.library.define(
    "sam2_ros::encode_memory",
    "(Tensor features, Tensor logits, Tensor prompted, Tensor[] weights, Tensor[] scales, float eps) -> Tensor",
)


@torch.library.impl("sam2_ros::encode_memory", "CPU")
def _encode_memory(
    features: Tensor,
    logits: Tensor,
    prompted: Tensor,
    weights: Sequence[Tensor],
    scales: Sequence[Tensor],
    eps: float,
) -> Tensor:
    """`sam2_ros.model.memory_encoder.MemoryEncoder`.

    Args:
        features: float32 [N or 1, h, w, dim].
        logits: float32 [N, 4 h, 4 w].
        prompted: bool [N].
        weights: weight and bias of each layer: four convolutions of the mask, each followed by its norm, and a fifth;
            the projection of the features; depthwise convolution, norm and MLP of each ConvNeXt block; the output
            projection.
        scales: layer scale of each block, [dim].

    Returns:
        [N, h, w, memory_dim].
    """
    features, logits, prompted = (tensor.contiguous() for tensor in (features, logits, prompted))
    weights, scales = ([tensor.contiguous() for tensor in tensors] for tensors in (weights, scales))
    (b, h, w, dim), n, memory_dim = features.shape, len(logits), len(weights[-1])
    assert b in (1, n) and logits.shape == (n, 4 * h, 4 * w) and len(prompted) == n, "inputs are of different objects"
    out = features.new_empty(n, h, w, memory_dim)
    if not out.numel():
        return out
    encoder = Encoder(
        *(tensor.data_ptr() for tensor in (features, logits, prompted, out)),
        *(b, n, h, w, dim, memory_dim, torch.get_num_threads()),
        eps,
        (Weights * LAYERS)(*weight_pointers(weights)),
        (c_void_p * BLOCKS)(*(scale.data_ptr() for scale in scales)),
    )
    kernels().encode_memory(byref(encoder))
    return out


encode_memory = torch.ops.sam2_ros.encode_memory
