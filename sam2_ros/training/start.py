"""Where training from scratch starts: attention that already knows what "here" means.

Released weights have learnt this from millions of pictures. A small model spends most of a short training on it.
"""

from __future__ import annotations

import torch

from sam2_ros.model.memory_attention import MemoryAttentionLayer
from sam2_ros.model.sam2 import SAM2

GAIN = 3.0
"""Of the projections that start alike: enough for most of the attention to fall on the place of the click."""


@torch.no_grad()
def look_at_the_same_place(model: SAM2, strength: float = 1.75) -> None:
    """Let memory attention start by looking where the query itself is.

    Rotary embedding turns equal constants in query and key by their places, so their product is largest where the
    places agree.
    """
    for layer in model.memory_attention.layers:
        assert isinstance(layer, MemoryAttentionLayer)
        for attention in (layer.self_attn, layer.cross_attn_image):
            for projection in (attention.q_proj, attention.k_proj):
                projection.weight *= 0.5
                projection.bias.fill_(strength)


@torch.no_grad()
def look_at_the_click(model: SAM2, gain: float = GAIN) -> None:
    """Let the mask decoder start by looking where a point is, and the image at the point that is there.

    Clicks and cells of the image have the same random Fourier encoding. Projected alike as queries and keys, their
    product is largest where the places agree. What else is in tokens and image starts small, not to drown that.
    """
    prompts, decoder = model.sam_prompt_encoder, model.sam_mask_decoder
    for embedding in (
        *prompts.point_embeddings,
        prompts.not_a_point_embed,
        prompts.no_mask_embed,
        decoder.mask_tokens,
        decoder.iou_token,
        decoder.obj_score_token,
    ):
        embedding.weight *= 0.3
    for lateral in model.image_encoder.neck.convs:
        lateral.conv.weight *= 0.3
    layers = decoder.transformer.layers
    for attention in (
        *(layer.cross_attn_token_to_image for layer in layers),
        *(layer.cross_attn_image_to_token for layer in layers),
        decoder.transformer.final_attn_token_to_image,
    ):
        attention.q_proj.weight *= gain
        attention.k_proj.weight.copy_(attention.q_proj.weight)
        attention.q_proj.bias.zero_()
        attention.k_proj.bias.zero_()
