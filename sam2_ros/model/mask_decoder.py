"""From conditioned features and prompts to masks (SAM 2 paper, section 4 and appendix C.1).

A two-way transformer lets a few tokens (object score, IoU, four masks, prompts) and the image attend to each other; the
mask tokens then become weights of 1x1 filters on the upscaled image. New against SAM: the skip connections from
strides 8 and 4, and the object score, which says whether the object can be seen at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.attention import Attention
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.cpu_kernels.token_heads import token_heads
from sam2_ros.model.cpu_kernels.two_way_transformer import TOKENS, two_way_transformer
from sam2_ros.model.cpu_kernels.upscaling import upscaled_masks
from sam2_ros.model.layers import (
    MLP,
    LayerNorm2d,
    Linear,
    has_kernels,
    once,
    takes_cpu_kernels,
    weights,
    weights_are_constant,
)

SINGLE = 0
"""Index of the mask for unambiguous prompts; masks 1, 2 and 3 are candidates for ambiguous ones."""


def norm_of_sum(x: Tensor, change: Tensor, norm: nn.LayerNorm) -> Tensor:
    """norm(x + change), all of x's shape; the change may be overwritten."""
    if has_kernels(x, float32=True):
        from sam2_ros.model.gpu_kernels.layer_norm import layer_norm

        return layer_norm(change.contiguous(), norm.weight, norm.bias, norm.eps, x.dtype, add=x.contiguous())
    return norm(x + change)


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves, tokens to image, MLP, image to tokens."""

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

    def forward(self, tokens: Tensor, image: Tensor, token_position: Tensor, image_position: Tensor):
        """tokens [N, T, dim], image [N, h * w, dim] -> the same."""
        if self.position_first:
            q = tokens + token_position
            tokens = norm_of_sum(tokens, self.self_attn(q, q, tokens), self.norm1)
        else:  # in the first block the tokens are nothing but their position yet
            tokens = self.norm1(self.self_attn(tokens, tokens, tokens))
        keys = image + image_position
        look = self.cross_attn_token_to_image(tokens + token_position, keys, image)
        tokens = norm_of_sum(tokens, look, self.norm2)
        tokens = norm_of_sum(tokens, self.mlp(tokens), self.norm3)
        look = self.cross_attn_image_to_token(keys, tokens + token_position, tokens)
        return tokens, norm_of_sum(image, look, self.norm4)

    def all_layers(self) -> list[nn.Module]:
        """In the order in which our kernel for CPUs takes them."""
        to_image, to_tokens = self.cross_attn_token_to_image, self.cross_attn_image_to_token
        return [
            *(*self.self_attn.projections(), self.norm1, *to_image.projections(), self.norm2),
            *(*self.mlp.layers, self.norm3, self.norm4, *to_tokens.projections()),
        ]


class TwoWayTransformer(nn.Module):
    """Two two-way blocks and a last look of the tokens at the image."""

    def __init__(self, dim: int, heads: int, feedforward: int, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, heads, feedforward, position_first=i > 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(dim, heads, inner_dim=dim // 2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, image: Tensor, image_position: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [N, T, dim], image [N, h * w, dim], its position [h * w, dim] -> tokens, image."""
        if takes_cpu_kernels(tokens, image, image_position) and tokens.shape[1] <= TOKENS:
            heads, eps = self.final_attn_token_to_image.heads, self.norm_final_attn.eps
            return two_way_transformer(tokens, image, image_position, weights(*self.all_layers()), heads, eps)
        token_position = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_position, image_position)
        look = self.final_attn_token_to_image(tokens + token_position, image + image_position, image)
        return norm_of_sum(tokens, look, self.norm_final_attn), image

    def all_layers(self) -> list[nn.Module]:
        """Likewise."""
        blocks = [layer for block in self.layers for layer in block.all_layers()]
        return [*blocks, *self.final_attn_token_to_image.projections(), self.norm_final_attn]


@dataclass(frozen=True)
class RawMasks:
    """Everything the decoder says: the single mask (index 0) and the three candidates."""

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
        """All four masks of each of N objects.

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
        """What the decoder's own tokens [N, 6, dim] say: object score [N], IoU [N, 4] and filters [N, 4, dim / 8]."""
        heads = [self.pred_obj_score_head, self.iou_prediction_head, *self.output_hypernetworks_mlps]
        if takes_cpu_kernels(tokens):
            found = token_heads(tokens, weights(*(layer for head in heads for layer in head.layers)))
            return found[:, 0], found[:, 1:5].sigmoid(), found[:, 5:].unflatten(1, (4, -1))
        if tokens.is_cuda and weights_are_constant():
            presence, iou, *filters = side_by_side(heads, tokens)
        else:
            presence, iou, *filters = (head(tokens[:, i]) for i, head in enumerate(heads))
        return presence.squeeze(-1), iou.sigmoid(), torch.stack(filters, dim=1)

    def masks(self, image: Tensor, filters: Tensor, stride4: Tensor, stride8: Tensor) -> Tensor:
        """image [N, dim, h, w], filters [N, 4, dim / 8] and skip connections -> logits [N, 4, 4 h, 4 w]."""
        grow1, norm, _, grow2, gelu = self.output_upscaling
        channels = grow2.out_channels
        if channels >= 16 and has_kernels(
            image, channels, image.shape[1], float32=True
        ):  # the least that tensor cores take
            from sam2_ros.model.gpu_kernels.upscaling import filter_upscaled, upscale

            image = upscale(image.flatten(2).mT, grow1, stride8, norm)  # the tokens again
            return filter_upscaled(image, grow2, stride4, filters)
        if takes_cpu_kernels(image, filters, stride4, stride8):
            return upscaled_masks(image, stride8, stride4, filters, weights(grow1, norm, grow2), norm.eps)
        image = norm(grow1(image) + stride8, "gelu")
        image = gelu(grow2(image) + stride4)
        return (filters @ image.flatten(2)).unflatten(2, image.shape[2:])


def side_by_side(mlps: Sequence[MLP], x: Tensor) -> list[Tensor]:
    """MLPs of as many layers, each on a token of its own: x [N, M, dim] -> M times [N, out].

    For a GPU they are so small that it takes one product of all as long as that of one.
    """
    layers = once(lambda: [_stacked(layers) for layers in zip(*(m.layers for m in mlps), strict=True)], *map(id, mlps))
    x = x.transpose(0, 1)
    for i, (weight, bias) in enumerate(layers):
        if i:
            x = getattr(F, mlps[0].activation)(x)
        x = torch.baddbmm(bias, x, weight)
    return [result[:, : mlp.layers[-1].out_features] for result, mlp in zip(x, mlps, strict=True)]


def _stacked(layers: Sequence[Linear]) -> tuple[Tensor, Tensor]:
    """Weights [M, in, out] and biases [M, 1, out]; narrower ones are filled up with zeros, which stay zero."""
    wide, high = max(layer.in_features for layer in layers), max(layer.out_features for layer in layers)
    weights = [F.pad(x.weight, (0, wide - x.in_features, 0, high - x.out_features)) for x in layers]
    biases = [F.pad(x.bias, (0, high - x.out_features)) for x in layers]
    return torch.stack(weights).mT, torch.stack(biases)[:, None]


def best_candidate(raw: RawMasks) -> Tensor:
    """Index of the candidate, 1 .. 3, with the highest predicted IoU: int64 [N]."""
    return raw.iou[:, 1:].argmax(dim=1) + 1


def is_stable(logits: Tensor, delta: float = 0.05, threshold: float = 0.98) -> Tensor:
    """Whether a mask hardly changes when its logits are cut at +delta instead of -delta: [N, H, W] -> bool [N]."""
    inner = (logits > delta).flatten(1).sum(dim=1).float()
    outer = (logits > -delta).flatten(1).sum(dim=1).float()
    return torch.where(outer > 0, inner / outer, 1.0) >= threshold
