"""Initial weights of attention that attends to the same position, for training from random weights.

Released weights learned this from millions of images. A small model spends most of a short training on it.
"""

from __future__ import annotations

import torch

from sam2_ros.model.memory_attention import MemoryAttentionLayer
from sam2_ros.model.sam2 import SAM2

GAIN = 3.0
"""Factor of the tied projections, large enough for most of the attention to fall on the position of the click."""


@torch.no_grad()
def attend_to_same_position(model: SAM2, strength: float = 1.75) -> None:
    """Make each query of memory attention attend to its own position.

    Rotary embedding rotates equal constants in query and key by their positions, so their product is largest where the
    positions agree.
    """
    for layer in model.memory_attention.layers:
        assert isinstance(layer, MemoryAttentionLayer)
        for attention in (layer.self_attn, layer.cross_attn_image):
            for projection in (attention.q_proj, attention.k_proj):
                projection.weight *= 0.5
                projection.bias.fill_(strength)


@torch.no_grad()
def attend_to_click(model: SAM2, gain: float = GAIN) -> None:
    """Make cross-attention of the mask decoder attend to the position of a click, and the image to the click there.

    Clicks and cells of the image share a random Fourier encoding. With tied projections of queries and keys, their
    product is largest where the positions agree. All other embeddings start small, so as not to drown that.
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
