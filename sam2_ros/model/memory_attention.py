"""Memory attention: today's features look at yesterday's masks (SAM 2 paper, section 4 and appendix C.1)."""

from __future__ import annotations

from torch import Tensor, nn

from sam2_ros.model.attention import Attention, attention, gains_from_narrow_values
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.layers import Linear
from sam2_ros.model.position import axial_rotation, rotate


class RotaryAttention(Attention):
    """Attention whose queries and keys are turned by their place in the image (axial RoPE), one head.

    Keys may hold several memories of the same grid one behind the other: every one is turned alike. The last
    `unplaced` keys (object pointers) have no place in the image and are not turned.
    """

    def __init__(self, dim: int, dropout: float, key_dim: int | None = None) -> None:
        super().__init__(dim, heads=1, key_dim=key_dim)
        self.dropout = dropout

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        grid: tuple[int, int],
        unplaced: int = 0,
        valid: Tensor | None = None,
    ) -> Tensor:
        """query [N or 1, h * w, dim], key and value [N, K, key_dim], valid bool [N, K] -> [N, h * w, dim]."""
        q, k = self.q_proj(query), self.k_proj(key)
        rotation = axial_rotation(*grid, q.shape[-1], q.device)
        q = rotate(q, rotation).expand(k.shape[0], -1, -1)
        k = rotate(k, rotation, unplaced)
        if value.shape[-1] < k.shape[-1] and gains_from_narrow_values(q):
            # What attention gives is a mean of values with weights that sum to 1, so it can be projected afterwards
            # just as well: narrow values are attended to as they are.
            found = self.v_proj(attention(q[:, None], k[:, None], value[:, None], valid).squeeze(1))
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
        self,
        x: Tensor,
        key: Tensor,
        value: Tensor,
        grid: tuple[int, int],
        pointers: int,
        valid: Tensor | None,
    ) -> Tensor:
        """x [N or 1, h * w, dim], key and value [N, K, memory_dim] -> [N, h * w, dim]."""
        y = self.norm1(x)
        x = x + self.dropout(self.self_attn(y, y, y, grid))
        x = x + self.dropout(self.cross_attn_image(self.norm2(x), key, value, grid, pointers, valid))
        y = self.dropout(self.linear1(self.norm3(x), "relu"))
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
            features: [N, dim, h, w]; or [1, dim, h, w], and what does not depend on the objects is done once.
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
        # Position is added to the keys only: a value says what was there, a key also where and when.
        key = memory + memory_position
        for layer in self.layers:
            x = layer(x, key, memory, grid, pointers, valid)
        return self.norm(x).transpose(1, 2).unflatten(2, grid)
