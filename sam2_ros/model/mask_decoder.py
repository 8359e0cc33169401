"""The mask decoder: conditioned features and prompts to masks (SAM 2 paper, section 4 and appendix C.1).

In a two-way transformer, a few tokens (object score, IoU, four masks, prompts) and the image attend to each other; the
mask tokens then become weights of 1x1 filters on the upscaled image. Not in SAM: the skip connections from strides 8
and 4, and the object score, which predicts whether the object is visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sam2_ros.model.attention import Attention
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.layers import MLP, LayerNorm2d

SINGLE = 0
"""Index of the mask for unambiguous prompts; masks 1, 2 and 3 are candidates for ambiguous ones."""


class TwoWayBlock(nn.Module):
    """Self-attention of tokens, cross-attention of tokens to the image, MLP, cross-attention of the image to tokens."""

    def __init__(self, dim: int, heads: int, feedforward: int, position_first: bool) -> None:
        super().__init__()
        self.position_first = position_first
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, heads, inner_dim=dim // 2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, feedforward, dim, layers=2)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, heads, inner_dim=dim // 2)

    def forward(
        self, tokens: Tensor, image: Tensor, token_position: Tensor, image_position: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens [N, T, dim] and image [N, h * w, dim] -> the same shapes."""
        if self.position_first:
            q = tokens + token_position
            tokens = self.norm1(tokens + self.self_attn(q, q, tokens))
        else:  # in the first block, tokens are their position
            tokens = self.norm1(self.self_attn(tokens, tokens, tokens))
        keys = image + image_position
        attended = self.cross_attn_token_to_image(tokens + token_position, keys, image)
        tokens = self.norm2(tokens + attended)
        tokens = self.norm3(tokens + self.mlp(tokens))
        attended = self.cross_attn_image_to_token(keys, tokens + token_position, tokens)
        return tokens, self.norm4(image + attended)


class TwoWayTransformer(nn.Module):
    """Two two-way blocks and a last cross-attention of the tokens to the image."""

    def __init__(self, dim: int, heads: int, feedforward: int, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, heads, feedforward, position_first=i > 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(dim, heads, inner_dim=dim // 2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, image: Tensor, image_position: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [N, T, dim], image [N, h * w, dim], its position [h * w, dim] -> tokens and image, same shapes."""
        token_position = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_position, image_position)
        attended = self.final_attn_token_to_image(tokens + token_position, image + image_position, image)
        return self.norm_final_attn(tokens + attended), image


@dataclass(frozen=True)
class RawMasks:
    """All outputs of the decoder: the single mask (index 0) and the three candidates."""

    logits: Tensor
    """[N, 4, H / 4, W / 4]."""
    iou: Tensor
    """Predicted IoU, 0 .. 1: [N, 4]."""
    tokens: Tensor
    """Output tokens of the masks: [N, 4, dim]."""
    presence_logit: Tensor
    """Object score; above 0 the object is visible: [N]."""


class MaskDecoder(nn.Module):
    """Tokens and features to four masks, their predicted IoU, and the object score."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.dim
        self.transformer = TwoWayTransformer(dim, config.decoder_heads, config.feedforward)
        self.obj_score_token = nn.Embedding(1, dim)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(4, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.conv_s0 = nn.Conv2d(dim, dim // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(dim, dim // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(dim, dim, dim // 8, layers=3) for _ in range(4))
        self.iou_prediction_head = MLP(dim, config.iou_head_dim, 4, layers=3)
        self.pred_obj_score_head = MLP(dim, dim, 1, layers=3)

    def forward(
        self, image: Tensor, image_position: Tensor, prompts: Tensor, stride4: Tensor, stride8: Tensor
    ) -> RawMasks:
        """Decode all four masks of each of N objects.

        Args:
            image: conditioned features with the mask prompt added: [N, dim, h, w].
            image_position: [dim, h, w].
            prompts: [N, P, dim].
            stride4: skip connection [N, dim / 8, 4 h, 4 w].
            stride8: skip connection [N, dim / 4, 2 h, 2 w].
        """
        n, _, h, w = image.shape
        own = torch.cat((self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight))
        tokens = torch.cat((own.expand(n, -1, -1), prompts), dim=1)
        tokens, flat = self.transformer(tokens, image.flatten(2).transpose(1, 2), image_position.flatten(1).T)

        presence_logit, iou, filters = self.heads(tokens[:, :6])
        image = flat.transpose(1, 2).unflatten(2, (h, w))
        return RawMasks(self.masks(image, filters, stride4, stride8), iou, tokens[:, 2:6], presence_logit)

    def heads(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output tokens [N, 6, dim] -> object score [N], IoU [N, 4] and filters [N, 4, dim / 8]."""
        score, iou, masks = tokens[:, 0], tokens[:, 1], tokens[:, 2:].unbind(1)
        filters = [mlp(token) for mlp, token in zip(self.output_hypernetworks_mlps, masks, strict=True)]
        presence_logit = self.pred_obj_score_head(score).squeeze(-1)
        return presence_logit, self.iou_prediction_head(iou).sigmoid(), torch.stack(filters, dim=1)

    def masks(self, image: Tensor, filters: Tensor, stride4: Tensor, stride8: Tensor) -> Tensor:
        """Image [N, dim, h, w], filters [N, 4, dim / 8] and skip connections -> logits [N, 4, 4 h, 4 w]."""
        upscale1, norm, gelu, upscale2, _ = self.output_upscaling
        image = gelu(norm(upscale1(image) + stride8))
        image = gelu(upscale2(image) + stride4)
        return (filters @ image.flatten(2)).unflatten(2, image.shape[2:])


def best_candidate(raw: RawMasks) -> Tensor:
    """Index of the candidate, 1 .. 3, with the highest predicted IoU: int64 [N]."""
    return raw.iou[:, 1:].argmax(dim=1) + 1


def is_stable(logits: Tensor, delta: float = 0.05, threshold: float = 0.98) -> Tensor:
    """Whether masks hardly change between thresholds of -delta and +delta (SAM's stability): [N, H, W] -> bool [N]."""
    inner = (logits > delta).flatten(1).sum(dim=1).float()
    outer = (logits > -delta).flatten(1).sum(dim=1).float()
    return torch.where(outer > 0, inner / outer, 1.0) >= threshold
