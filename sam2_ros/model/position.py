"""Position encodings: sines of a grid and of time, axial rotations, random Fourier features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sam2_ros.model.layers import in_float32


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


def axial_rotation(height: int, width: int, dim: int, device: torch.device) -> Tensor:
    """Axial rotary embedding (Su et al. 2021, in 2-D: Heo et al. 2024), theta 10000: complex numbers of modulus 1.

    The first half of a token's channel pairs is rotated by its column, the second half by its row.

    Returns:
        complex64 [height * width, dim / 2].
    """
    frequency = 1.0 / 10000 ** (torch.arange(0, dim, 4, device=device)[: dim // 4].float() / dim)
    cells = torch.arange(height * width, device=device)
    column, row = (cells % width).float(), torch.div(cells, width, rounding_mode="floor").float()
    angle = torch.cat((torch.outer(column, frequency), torch.outer(row, frequency)), dim=-1)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x: Tensor, rotation: Tensor, pointer_tokens: int = 0) -> Tensor:
    """Rotate neighbouring channel pairs of tokens by their position in the image, in float32.

    Args:
        x: [B, T, C], tokens of one or more grids, then object pointers.
        rotation: complex64 [cells, C / 2].
        pointer_tokens: how many of the last tokens belong to object pointers, which are not rotated.

    Returns:
        [B, T, C] of x's dtype.
    """
    cells = x.shape[1] - pointer_tokens
    pairs = x[:, :cells].float().unflatten(1, (-1, len(rotation))).unflatten(-1, (-1, 2))
    rotated = torch.view_as_real(torch.view_as_complex(pairs) * rotation)
    return torch.cat((rotated.flatten(-2).flatten(1, 2).to(x.dtype), x[:, cells:]), dim=1)


class RandomFourier(nn.Module):
    """Random Fourier features of points (SAM paper, appendix A; Tancik et al. 2020), shared by prompts and image."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, dim // 2))

    def forward(self, points: Tensor) -> Tensor:
        """Points x, y in 0 .. 1: [..., 2] -> float32 [..., dim]."""
        with in_float32(points):  # bfloat16 could not resolve neighbouring pixels
            phase = 2 * math.pi * ((2 * points.float() - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat((phase.sin(), phase.cos()), dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Encoding of the centres of a grid's cells: [dim, height, width]."""
        matrix = self.positional_encoding_gaussian_matrix
        y = (torch.arange(height, device=matrix.device, dtype=matrix.dtype) + 0.5) / height
        x = (torch.arange(width, device=matrix.device, dtype=matrix.dtype) + 0.5) / width
        points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
        return self(points).permute(2, 0, 1)
