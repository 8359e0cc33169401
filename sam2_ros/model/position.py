"""Where and when: the position encodings of the network. No weights but one random matrix."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from sam2_ros.model.cpu_kernels.library import has_cpu_kernels
from sam2_ros.model.cpu_kernels.rotation import rotates_in_place
from sam2_ros.model.layers import Kept, has_kernels, in_float32, learns_nothing_on_cpu


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # the cache serves training and inference alike
def sine_grid(height: int, width: int, dim: int, device: torch.device) -> Tensor:
    """Sine encoding of a grid's cells, rows first, then columns, each normalised to 0 .. 2 pi.

    Returns:
        float32 [dim, height, width].
    """

    def encode(cells: int) -> Tensor:  # [cells, dim / 2]
        angle = torch.arange(1, cells + 1, device=device) / (cells + 1e-6) * (2 * math.pi)
        frequency = 10000 ** (torch.arange(0, dim // 2, 2, device=device) / (dim // 2))
        phase = angle[:, None] / frequency
        return torch.stack((phase.sin(), phase.cos()), dim=-1).flatten(1)

    rows = encode(height)[:, None].expand(height, width, -1)
    columns = encode(width)[None].expand(height, width, -1)
    return torch.cat((rows, columns), dim=-1).permute(2, 0, 1).contiguous()


def sine_time(times: Tensor, dim: int) -> Tensor:
    """Sine encoding of scalars: all sines, then all cosines.

    Args:
        times: [...].

    Returns:
        float32 [..., dim].
    """
    half = dim // 2
    # Frequencies come in equal pairs, as in the 2-D encoding.
    exponent = 2 * torch.div(torch.arange(half, device=times.device), 2, rounding_mode="floor") / half
    phase = times[..., None].float() / 10000**exponent
    return torch.cat((phase.sin(), phase.cos()), dim=-1)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def axial_rotation(height: int, width: int, dim: int, device: torch.device) -> Tensor:
    """Axial rotary embedding (Su et al. 2021, in 2-D: Heo et al. 2024), theta 10000: unit numbers to multiply by.

    The first half of a token's channel pairs turns with its column, the second half with its row.

    Returns:
        complex64 [height * width, dim / 2].
    """
    frequency = 1.0 / 10000 ** (torch.arange(0, dim, 4, device=device)[: dim // 4].float() / dim)
    cells = torch.arange(height * width, device=device)
    column, row = (cells % width).float(), torch.div(cells, width, rounding_mode="floor").float()
    angle = torch.cat((torch.outer(column, frequency), torch.outer(row, frequency)), dim=-1)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x: Tensor, rotation: Tensor, unplaced: int = 0) -> Tensor:
    """Turn neighbouring channel pairs of tokens, in float32.

    Args:
        x: [B, T, C], tokens of one or more grids, one behind the other. It may be overwritten.
        rotation: complex64 [cells, C / 2].
        unplaced: so many of the last tokens have no place in a grid, and are not turned.

    Returns:
        [B, T, C] of x's dtype.
    """
    if has_kernels(x, x.shape[2]):
        from sam2_ros.model.gpu_kernels.rotation import rotate_in_place

        return rotate_in_place(x, rotation, unplaced)
    if _is_for_the_cpu_kernel(x):
        torch.ops.sam2_ros.rotate_in_place(x, rotation, unplaced)
        return x
    placed = x.shape[1] - unplaced
    grids = x[:, :placed].unflatten(1, (-1, len(rotation))).unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling():  # to formats that have no complex numbers, to loops that do all at once
        a, b = grids.float().unbind(-1)
        cosine, sine = torch.view_as_real(rotation).unbind(-1)
        turned = torch.stack((a * cosine - b * sine, a * sine + b * cosine), dim=-1)
    elif torch.is_grad_enabled():
        turned = torch.view_as_real(torch.view_as_complex(grids.float()) * rotation)
    else:
        turned = grids.float()  # x itself in float32
        torch.view_as_complex(turned).mul_(rotation)
        if turned.dtype != x.dtype:
            grids.copy_(turned)
        return x
    turned = turned.flatten(-2).flatten(1, 2).to(x.dtype)
    return torch.cat((turned, x[:, placed:]), dim=1) if unplaced else turned


def _is_for_the_cpu_kernel(x: Tensor) -> bool:
    """Whether to take it for tokens x: PyTorch's product would copy them twice, since they are bfloat16."""
    if not learns_nothing_on_cpu(x) or torch.compiler.is_compiling():
        return False
    return rotates_in_place(x) and has_cpu_kernels(x.dtype)


class RandomFourier(nn.Module):
    """Random Fourier features of points (SAM paper, appendix A; Tancik et al. 2020), shared by prompts and image."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, dim // 2))
        self._grid = Kept()

    def forward(self, points: Tensor) -> Tensor:
        """x, y in 0 .. 1: [..., 2] -> float32 [..., dim]."""
        with in_float32(points):  # bfloat16 would tell only every other pixel apart
            phase = 2 * math.pi * ((2 * points.float() - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat((phase.sin(), phase.cos()), dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Encoding of the centres of a grid's cells: [dim, height, width]."""
        matrix = self.positional_encoding_gaussian_matrix

        def compute() -> Tensor:
            y = (torch.arange(height, device=matrix.device, dtype=matrix.dtype) + 0.5) / height
            x = (torch.arange(width, device=matrix.device, dtype=matrix.dtype) + 0.5) / width
            points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
            return self(points).permute(2, 0, 1)

        return self._grid(compute, (height, width), matrix)
