"""Memory attention: features of the newest image attend to memories (SAM 2 paper, section 4 and appendix C.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.attention import Attention
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.position import axial_rotation, rotate


@dataclass(frozen=True)
class MemoryTokens:
    """Memories of N objects as K tokens of c channels: maps of h * w tokens each, then object pointers."""

    value: Tensor
    """[N, K, c]."""
    key: Tensor
    """[N, K, c]: value plus spatial and temporal position."""
    pointer_tokens: int
    """How many of the last tokens belong to object pointers, which have no spatial position."""
    valid: Tensor | None = None
    """bool [N, K], False for tokens to ignore; None: all are valid."""


class RotaryAttention(Attention):
    """Single-head attention with axial rotary embedding (RoPE) of queries and keys.

    Keys may be several memories of the same grid, concatenated. Object pointers have no spatial position and are not
    rotated.
    """

    def __init__(self, dim: int, dropout: float, key_dim: int | None = None) -> None:
        super().__init__(dim, heads=1, key_dim=key_dim)
        self.dropout = dropout

    def forward(self, query: Tensor, memory: MemoryTokens, rotation: Tensor) -> Tensor:  # type: ignore[override]
        """Query [N or 1, h * w, dim], rotation [h * w, dim / 2] -> [N, h * w, dim]."""
        q = rotate(self.q_proj(query), rotation).expand(len(memory.key), -1, -1)
        k = rotate(self.k_proj(memory.key), rotation, memory.pointer_tokens)
        v = self.v_proj(memory.value)
        dropout = self.dropout if self.training else 0.0
        return self.out_proj(self.attention(q[:, None], k[:, None], v[:, None], memory.valid, dropout).squeeze(1))


class MemoryAttentionLayer(nn.Module):
    """Pre-norm: self-attention, cross-attention to memory, MLP."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.dim
        self.self_attn = RotaryAttention(dim, config.dropout)
        self.cross_attn_image = RotaryAttention(dim, config.dropout, config.memory_dim)
        self.linear1 = nn.Linear(dim, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, memory: MemoryTokens, rotation: Tensor) -> Tensor:
        """Image tokens [N or 1, h * w, dim], rotation [h * w, dim / 2] -> [N, h * w, dim]."""
        y = self.norm1(x)
        x = x + self.dropout(self.self_attn(y, MemoryTokens(y, y, pointer_tokens=0), rotation))
        x = x + self.dropout(self.cross_attn_image(self.norm2(x), memory, rotation))
        return x + self.dropout(self.feed_forward(self.norm3(x)))

    def feed_forward(self, x: Tensor) -> Tensor:
        """[N, h * w, dim] -> the same shape."""
        return self.linear2(self.dropout(F.relu(self.linear1(x))))


class MemoryAttention(nn.Module):
    """A stack of layers with a final norm."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(config.memory_layers))
        self.norm = nn.LayerNorm(config.dim)

    def rotation(self, height: int, width: int) -> Tensor:
        """`axial_rotation` of a grid: complex64 [height * width, dim / 2]."""
        return axial_rotation(height, width, self.norm.normalized_shape[0], self.norm.weight.device)

    def forward(self, features: Tensor, position: Tensor, memory: MemoryTokens) -> Tensor:
        """Condition features of the newest image on the memory of each of N objects.

        Args:
            features: [N, dim, h, w]; or [1, dim, h, w] of one image with all objects: the first self-attention is then
                computed once.
            position: [dim, h, w].
            memory: of the N objects.

        Returns:
            [N, dim, h, w].
        """
        grid = features.shape[2:]
        rotation = self.rotation(*grid)
        x = (features + 0.1 * position).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, memory, rotation)
        return self.norm(x).transpose(1, 2).unflatten(2, grid)
