"""Rotary embedding of bfloat16 on CPUs, in place."""

from __future__ import annotations

from ctypes import c_long, c_void_p

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels


def rotates_in_place(x: Tensor) -> bool:
    """Whether tokens x [B, T, C] are laid out as `rotate_in_place` takes them: bfloat16, each in its own place, C a
    multiple of 32, channels next to each other."""
    even = not any(stride % 2 or not stride for stride in x.stride()[:2]) and x.storage_offset() % 2 == 0
    return x.dtype == torch.bfloat16 and x.shape[2] % 32 == 0 and x.stride(2) == 1 and even


def rotate_in_place(x: Tensor, rotation: Tensor, unplaced: int = 0) -> None:
    """What `position.rotate` gives, written over x.

    Args:
        x: bfloat16 [B, T, C] as `rotates_in_place` says.
        rotation: complex64 [cells, C / 2].
        unplaced: so many of the last tokens stay as they are; the others are whole grids of cells.
    """
    b, tokens, c = x.shape
    placed = tokens - unplaced
    assert placed % len(rotation) == 0, f"{placed} tokens are no whole grids of {len(rotation)}"
    turns = torch.view_as_real(rotation).contiguous()
    strides = x.stride(0) // 2, x.stride(1) // 2  # in words of two channels
    sizes = b, placed, c // 2, *strides, len(rotation), torch.get_num_threads()
    kernels().rotate_bfloat16(c_void_p(x.data_ptr()), c_void_p(turns.data_ptr()), *map(c_long, sizes))


torch.library.define("sam2_ros::rotate_in_place", "(Tensor(a!) x, Tensor rotation, int unplaced) -> ()")
torch.library.impl("sam2_ros::rotate_in_place", "CPU", rotate_in_place)
torch.library.register_fake("sam2_ros::rotate_in_place", lambda x, rotation, unplaced: None)
