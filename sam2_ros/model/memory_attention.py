"""Memory attention: today's features look at yesterday's masks (SAM 2 paper, section 4 and appendix C.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sam2_ros.model.attention import Attention, attention, gains_from_narrow_values
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.cpu_kernels.memory_attention import after_memory, attend_within, keys_of_memory
from sam2_ros.model.layers import Linear, add_and_norm, rounded, takes_cpu_kernels, weights
from sam2_ros.model.position import axial_rotation, rotate

LARGEST = 2**18
"""Numbers of x up to which our kernels for CPUs are the faster ones: keys and values of an image, which each group of
queries looks at, then fit into the second cache."""


@dataclass(frozen=True)
class MemoryTokens:
    """What N objects remember, as K tokens of c channels each: maps of h * w tokens, then the object pointers."""

    value: Tensor
    """[N, K, c]."""
    key: Tensor
    """[N, K, c]. Position is added to the keys only: a value says what was there, a key also where and when."""
    pointers: int
    """How many of the last tokens belong to object pointers; they have no place in the image."""
    valid: Tensor | None = None
    """bool [N, K], False for tokens to leave out; None: all count."""
    counts: Tensor | None = None
    """For our kernels on a GPU, in place of `valid`: int32 [2, N], how many of the first tokens are of maps, and how
    many count at all."""


class RotaryAttention(Attention):
    """Attention whose queries and keys are turned by their place in the image (axial RoPE), one head.

    Keys may hold several memories of the same grid one behind the other: every one is turned alike. Object pointers
    have no place in the image and are not turned.
    """

    def __init__(self, dim: int, dropout: float, key_dim: int | None = None) -> None:
        super().__init__(dim, heads=1, key_dim=key_dim)
        self.dropout = dropout

    def forward(self, query: Tensor, memory: MemoryTokens, grid: tuple[int, int]) -> Tensor:  # type: ignore[override]
        """query [N or 1, h * w, dim] -> [N, h * w, dim]."""
        q = self.q_proj(query)
        rotation = axial_rotation(*grid, q.shape[-1], q.device)
        q = rotate(q, rotation).expand(memory.key.shape[0], -1, -1)
        if memory.counts is not None:
            from sam2_ros.model.gpu_kernels.key_projection import projected_keys

            weight = rounded(self.k_proj.weight, memory.key.dtype)
            k = projected_keys(memory.key, weight, self.k_proj.bias, rotation, memory.counts, memory.pointers)
        else:
            k = rotate(self.k_proj(memory.key), rotation, memory.pointers)
        value, valid, counts = memory.value, memory.valid, memory.counts
        if counts is not None or (
            value.shape[-1] < k.shape[-1] and gains_from_narrow_values(q, value.shape[-1], valid is not None)
        ):
            # What attention gives is a mean of values with weights that sum to 1, so it can be projected afterwards
            # just as well: narrow values are attended to as they are.
            lengths = None if counts is None else counts[1]
            found = self.v_proj(attention(q[:, None], k[:, None], value[:, None], valid, lengths=lengths).squeeze(1))
        else:
            dropout = self.dropout if self.training else 0.0
            found = attention(q[:, None], k[:, None], self.v_proj(value)[:, None], valid, dropout).squeeze(1)
        return self.out_proj(found)


class MemoryAttentionLayer(nn.Module):
    """Pre-norm: self-attention, cross-attention to memory, MLP."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.dim
        self.self_attn = RotaryAttention(dim, config.dropout)
        self.cross_attn_image = RotaryAttention(dim, config.dropout, config.memory_dim)
        self.linear1 = Linear(dim, config.feedforward)
        self.linear2 = Linear(config.feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, added: Tensor | None, memory: MemoryTokens, grid: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """x [N or 1, h * w, dim], and what is yet to be added to it -> the same."""
        if self._is_for_the_cpu_kernels(x, memory):
            return self._fused(x if added is None else x + added, memory, grid), None
        x, y = add_and_norm(x, added, self.norm1)
        x, y = add_and_norm(x, self.dropout(self.self_attn(y, MemoryTokens(y, y, 0), grid)), self.norm2)
        x, y = add_and_norm(x, self.dropout(self.cross_attn_image(y, memory, grid)), self.norm3)
        return x, self.dropout(self.linear2(self.dropout(self.linear1(y, "relu"))))

    def _is_for_the_cpu_kernels(self, x: Tensor, memory: MemoryTokens) -> bool:
        """Whether to take them for x. In half precision, looking at memory is faster than they are."""
        if self.training or torch.is_autocast_enabled("cpu") or not takes_cpu_kernels(x, memory.key, memory.value):
            return False
        return x.shape[1] * x.shape[2] <= LARGEST

    def _fused(self, x: Tensor, memory: MemoryTokens, grid: tuple[int, int]) -> Tensor:
        """x [N or 1, h * w, dim] -> [N, h * w, dim], by our kernels for CPUs."""
        within, across = self.self_attn, self.cross_attn_image
        before = (self.norm1, *within.projections(), self.norm2, across.q_proj)
        after = (across.v_proj, across.out_proj, self.norm3, self.linear1, self.linear2)
        rotation = axial_rotation(*grid, x.shape[-1], x.device)
        x, query = attend_within(x, rotation, weights(*before), self.norm1.eps)
        key = keys_of_memory(memory.key, rotation, across.k_proj.weight, across.k_proj.bias, memory.pointers)
        query = query.expand(len(key), -1, -1)
        found = attention(query[:, None], key[:, None], memory.value[:, None], memory.valid).squeeze(1)
        return after_memory(x, found, weights(*after), self.norm3.eps)


class MemoryAttention(nn.Module):
    """A stack of layers and a last norm."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(config.memory_layers))
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, features: Tensor, position: Tensor, memory: MemoryTokens) -> Tensor:
        """Features of the newest image, conditioned on the memory of each of N objects.

        Args:
            features: [N, dim, h, w]; or [1, dim, h, w], and what does not depend on the objects is done once.
            position: [dim, h, w].
            memory: of the N objects.

        Returns:
            [N, dim, h, w].
        """
        grid = features.shape[2:]
        x, added = (features + 0.1 * position).flatten(2).transpose(1, 2), None
        for layer in self.layers:
            x, added = layer(x, added, memory, grid)
        _, conditioned = add_and_norm(x, added, self.norm, in_half=False)
        return conditioned.transpose(1, 2).unflatten(2, grid)
