"""What kernels are given of a network's layers."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_void_p

import torch
from torch import Tensor, nn


class Weights(Structure):
    """As in transformer.h."""

    _fields_ = (("weight", c_void_p), ("bias", c_void_p))


def weights_of(tensors: Sequence[Tensor]) -> list[Weights]:
    """Weight and bias of each layer, one after the other, contiguous; they have to outlive what is given here.

    Raises:
        TypeError: they are not in float32.
    """
    if any(tensor.dtype != torch.float32 for tensor in tensors):
        raise TypeError("weights in another precision than float32, in which the input is")
    return [Weights(a.data_ptr(), b.data_ptr()) for a, b in zip(tensors[::2], tensors[1::2], strict=True)]


def weights(*layers: nn.Module) -> list[Tensor]:
    """Weight and bias of each layer, one after the other."""
    return [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
