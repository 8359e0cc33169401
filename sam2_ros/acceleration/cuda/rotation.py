"""Rotary embedding on CUDA in place: a product that makes a copy would take several more passes over memory."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cuda.kernels import rotation as kernel
from sam2_ros.acceleration.cuda.probe import autocast_dtype, suits_triton


def rotate_in_place(x: Tensor, rotation: Tensor, pointers: int = 0) -> Tensor:
    """`sam2_ros.model.position.rotate`, written over x and returned."""
    if x.dtype == autocast_dtype(x) and suits_triton(x.device, x.shape[2]):
        return kernel.rotate_in_place(x, rotation, pointers)
    grids = x[:, : x.shape[1] - pointers].unflatten(1, (-1, len(rotation))).unflatten(-1, (-1, 2))
    rotated = grids.float()  # x itself in float32
    torch.view_as_complex(rotated).mul_(rotation)
    if rotated.dtype != x.dtype:
        grids.copy_(rotated)
    return x
