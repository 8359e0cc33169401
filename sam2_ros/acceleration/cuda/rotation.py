"""Rotary embedding on CUDA in place: a product that makes a copy would take several more passes over memory."""

from __future__ import annotations

from torch import Tensor

from sam2_ros.acceleration.cuda.kernels import rotation as kernel
from sam2_ros.acceleration.cuda.probe import autocast_dtype, suits_triton
from sam2_ros.acceleration.rotation import rotate_in_place as plain_rotate_in_place


def rotate_in_place(x: Tensor, rotation: Tensor, pointer_tokens: int = 0) -> Tensor:
    """`sam2_ros.model.position.rotate`, written over x and returned."""
    if x.dtype == autocast_dtype(x) and suits_triton(x.device, x.shape[2]):
        return kernel.rotate_in_place(x, rotation, pointer_tokens)
    return plain_rotate_in_place(x, rotation, pointer_tokens)
