"""Rotary embedding in place on CPUs, which saves two passes over memory."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.cpu.kernels.rotation import can_rotate_in_place
from sam2_ros.acceleration.rotation import rotate_in_place as plain_rotate_in_place


def rotate_in_place(x: Tensor, rotation: Tensor, pointer_tokens: int = 0) -> Tensor:
    """`sam2_ros.model.position.rotate`, written to x, which is returned."""
    if can_rotate_in_place(x) and has_cpu_kernels(x.dtype):
        torch.ops.sam2_ros.rotate_in_place(x, rotation, pointer_tokens)
        return x
    return plain_rotate_in_place(x, rotation, pointer_tokens)
