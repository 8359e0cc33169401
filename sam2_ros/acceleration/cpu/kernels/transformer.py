"""Weights of layers, as the kernels take them."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_void_p

import torch
from torch import Tensor, nn


class Weights(Structure):
    """Mirrors `Weights` of transformer.h."""

    _fields_ = (("weight", c_void_p), ("bias", c_void_p))


def weight_pointers(tensors: Sequence[Tensor]) -> list[Weights]:
    """Pointers to weight and bias of each layer. The tensors must outlive them.

    Args:
        tensors: weight and bias of each layer, one after the other; contiguous float32.

    Raises:
        TypeError: a tensor is not float32.
    """
    if any(tensor.dtype != torch.float32 for tensor in tensors):
        raise TypeError("the weights are in another precision than the float32 input")
    return [Weights(a.data_ptr(), b.data_ptr()) for a, b in zip(tensors[::2], tensors[1::2], strict=True)]


def weights(*layers: nn.Module) -> list[Tensor]:
    """Weight and bias of each layer, one after the other."""
    return [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
