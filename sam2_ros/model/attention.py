"""Scaled dot-product attention."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def attention(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """softmax(query key' / sqrt(c)) value.

    Args:
        query: [B, heads, Q, c].
        key: [B, heads, K, c].
        value: [B, heads, K, d].
        valid: bool [B, K], False for keys to ignore; None: all are valid.
        dropout: probability of dropping a weight; training only.

    Returns:
        [B, heads, Q, d].
    """
    mask = None if valid is None else valid[:, None, None, :]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


class Attention(nn.Module):
    """Multi-head attention with separate projections, optionally at a narrower inner width.

    The two-way transformer of the mask decoder halves the width in its cross-attentions (SAM paper, appendix A);
    memory attention projects 64-wide memories to full width (SAM 2 paper, appendix C.1).
    """

    attention = staticmethod(attention)

    def __init__(self, dim: int, heads: int, inner_dim: int | None = None, key_dim: int | None = None) -> None:
        super().__init__()
        inner_dim = inner_dim or dim
        key_dim = key_dim or dim
        self.heads = heads
        self.q_proj = nn.Linear(dim, inner_dim)
        self.k_proj = nn.Linear(key_dim, inner_dim)
        self.v_proj = nn.Linear(key_dim, inner_dim)
        self.out_proj = nn.Linear(inner_dim, dim)

    def split(self, x: Tensor) -> Tensor:
        """[B, T, inner] -> [B, heads, T, inner / heads]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """query [B, Q, dim], key and value [B, K, key_dim] -> [B, Q, dim]."""
        q, k, v = self.split(self.q_proj(query)), self.split(self.k_proj(key)), self.split(self.v_proj(value))
        return self.out_proj(self.attention(q, k, v).transpose(1, 2).flatten(2))
