"""Memory attention: today's features look at yesterday's masks (SAM 2 paper, section 4 and appendix C.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.attention import Attention, attention
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.position import axial_rotation, rotate


class RotaryAttention(Attention):
    """Attention whose queries and keys are turned by their place in the image (axial RoPE), one head.

    Keys may hold several memories of the same grid one behind the other: every one is turned alike. The last
    `unplaced` keys (object pointers) have no place in the image and are not turned.
    """

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        grid: tuple[int, int],
        unplaced: int = 0,
        valid: Tensor | None = None,
    ) -> Tensor:
        """query [N, h * w, dim], key and value [N, K, key_dim], valid bool [N, K] -> [N, h * w, dim]."""
        q, k, v = self.split(self.q_proj(query)), self.split(self.k_proj(key)), self.split(self.v_proj(value))
        cosine, sine = axial_rotation(*grid, q.shape[-1], q.device)
        q = rotate(q, cosine, sine)
        placed = k.shape[2] - unplaced
        maps = k[:, :, :placed].unflatten(2, (-1, grid[0] * grid[1]))
        k = torch.cat((rotate(maps, cosine, sine).flatten(2, 3), k[:, :, placed:]), dim=2)
        return self.out_proj(attention(q, k, v, valid).transpose(1, 2).flatten(2))


class MemoryAttentionLayer(nn.Module):
    """Pre-norm: self-attention, cross-attention to memory, MLP."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.dim
        self.self_attn = RotaryAttention(dim, heads=1)
        self.cross_attn_image = RotaryAttention(dim, heads=1, key_dim=config.memory_dim)
        self.linear1 = nn.Linear(dim, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        memory_position: Tensor,
        grid: tuple[int, int],
        pointers: int,
        valid: Tensor | None,
    ) -> Tensor:
        """x [N, h * w, dim], memory and its position [N, K, memory_dim] -> [N, h * w, dim]."""
        y = self.norm1(x)
        x = x + self.dropout(self.self_attn(y, y, y, grid))
        y = self.norm2(x)
        # Position is added to the keys only: a value says what was there, a key also where and when.
        x = x + self.dropout(self.cross_attn_image(y, memory + memory_position, memory, grid, pointers, valid))
        y = self.dropout(F.relu(self.linear1(self.norm3(x))))
        return x + self.dropout(self.linear2(y))


class MemoryAttention(nn.Module):
    """A stack of layers and a last norm."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(config.memory_layers))
        self.norm = nn.LayerNorm(config.dim)

    def forward(
        self,
        features: Tensor,
        position: Tensor,
        memory: Tensor,
        memory_position: Tensor,
        pointers: int,
        valid: Tensor | None = None,
    ) -> Tensor:
        """Features of the newest image, conditioned on the memory of each of N objects.

        Args:
            features: [N, dim, h, w].
            position: [dim, h, w].
            memory: M maps of h * w tokens each, then the pointer tokens: [N, K, memory_dim].
            memory_position: [N, K, memory_dim].
            pointers: how many of the last tokens belong to object pointers.
            valid: bool [N, K], False for tokens to leave out.

        Returns:
            [N, dim, h, w].
        """
        grid = features.shape[2:]
        x = (features + 0.1 * position).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, memory, memory_position, grid, pointers, valid)
        return self.norm(x).transpose(1, 2).unflatten(2, grid)
