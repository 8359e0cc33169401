"""Where training from scratch starts: attention that already knows that things stay where they are."""

from __future__ import annotations

import torch

from sam2_ros.model.memory_attention import MemoryAttentionLayer
from sam2_ros.model.sam2 import SAM2


@torch.no_grad()
def look_at_the_same_place(model: SAM2, strength: float = 1.75) -> None:
    """Let memory attention start by looking where the query itself is.

    Rotary embedding turns equal constants in query and key by their places, so their product is largest where the
    places agree. Without this start, a small model spends most of a short training on finding out.
    """
    for layer in model.memory_attention.layers:
        assert isinstance(layer, MemoryAttentionLayer)
        for attention in (layer.self_attn, layer.cross_attn_image):
            for projection in (attention.q_proj, attention.k_proj):
                projection.weight *= 0.5
                projection.bias.fill_(strength)
