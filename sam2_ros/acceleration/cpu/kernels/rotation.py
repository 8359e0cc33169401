"""Rotary embedding of bfloat16 in place, as a CPU operator."""

from __future__ import annotations

from ctypes import c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels


def can_rotate_in_place(x: Tensor) -> bool:
    """Whether `rotate_in_place` supports tokens x [B, T, C]: bfloat16, not expanded, C a multiple of 32, channels
    contiguous, tokens aligned to 32 bits."""
    aligned = not any(stride % 2 or not stride for stride in x.stride()[:2]) and x.storage_offset() % 2 == 0
    return x.dtype == torch.bfloat16 and x.shape[2] % 32 == 0 and x.stride(2) == 1 and aligned


def rotate_in_place(x: Tensor, rotation: Tensor, pointers: int = 0) -> None:
    """`sam2_ros.model.position.rotate`, written to x.

    Args:
        x: bfloat16 [B, T, C] that `can_rotate_in_place`, one or more grids of cells, then object pointers.
        rotation: complex64 [cells, C / 2].
        pointers: how many of the last tokens belong to object pointers, which are not rotated.
    """
    b, tokens, c = x.shape
    spatial = tokens - pointers
    assert spatial % len(rotation) == 0, f"{spatial} tokens are no whole grids of {len(rotation)}"
    factors = torch.view_as_real(rotation).contiguous()
    strides = x.stride(0) // 2, x.stride(1) // 2  # in words of two channels
    sizes = b, spatial, c // 2, *strides, len(rotation), torch.get_num_threads()
    kernels().rotate_bfloat16(c_void_p(x.data_ptr()), c_void_p(factors.data_ptr()), *map(c_long, sizes))


torch.library.define("sam2_ros::rotate_in_place", "(Tensor(a!) x, Tensor rotation, int pointers) -> ()")
torch.library.impl("sam2_ros::rotate_in_place", "CPU", rotate_in_place)
torch.library.register_fake("sam2_ros::rotate_in_place", lambda x, rotation, pointers: None)
