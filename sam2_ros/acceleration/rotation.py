"""Rotary embedding in place by PyTorch's operations, for tokens that no kernel takes."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate_in_place(x: Tensor, rotation: Tensor, pointer_tokens: int = 0) -> Tensor:
    """`sam2_ros.model.position.rotate`, written to x, which is returned."""
    grids = x[:, : x.shape[1] - pointer_tokens].unflatten(1, (-1, len(rotation))).unflatten(-1, (-1, 2))
    rotated = grids.float()  # a view of x if that is float32
    torch.view_as_complex(rotated).mul_(rotation)
    if rotated.dtype != x.dtype:
        grids.copy_(rotated)
    return x
