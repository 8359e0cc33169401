"""The mask decoder on CUDA, in float32 also under autocast: batched small products, norms fused with the sums before
them, and the upscaling in two kernels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.acceleration.cuda.kernels.upscaling import filter_upscaled, packed, upscale
from sam2_ros.acceleration.cuda.layers import norm_of_sum
from sam2_ros.acceleration.cuda.probe import suits_triton, triton_works
from sam2_ros.model.layers import MLP
from sam2_ros.model.mask_decoder import MaskDecoder, TwoWayBlock, TwoWayTransformer

MIN_CHANNELS = 16
"""Channels of the upscaled image: the least that tensor cores take."""


class CUDATwoWayBlock(TwoWayBlock):
    @staticmethod
    def fits(module: TwoWayBlock, dtype: torch.dtype) -> bool:
        return triton_works(module.norm1.weight.device)

    def forward(
        self, tokens: Tensor, image: Tensor, token_position: Tensor, image_position: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.position_first:
            q = tokens + token_position
            tokens = norm_of_sum(tokens, self.self_attn(q, q, tokens), self.norm1)
        else:  # in the first block the tokens are only their position
            tokens = self.norm1(self.self_attn(tokens, tokens, tokens))
        keys = image + image_position
        attended = self.cross_attn_token_to_image(tokens + token_position, keys, image)
        tokens = norm_of_sum(tokens, attended, self.norm2)
        tokens = norm_of_sum(tokens, self.mlp(tokens), self.norm3)
        attended = self.cross_attn_image_to_token(keys, tokens + token_position, tokens)
        return tokens, norm_of_sum(image, attended, self.norm4)


class CUDATwoWayTransformer(TwoWayTransformer):
    @staticmethod
    def fits(module: TwoWayTransformer, dtype: torch.dtype) -> bool:
        return triton_works(module.norm_final_attn.weight.device)

    def forward(self, tokens: Tensor, image: Tensor, image_position: Tensor) -> tuple[Tensor, Tensor]:
        token_position = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_position, image_position)
        attended = self.final_attn_token_to_image(tokens + token_position, image + image_position, image)
        return norm_of_sum(tokens, attended, self.norm_final_attn), image


class CUDAMaskDecoder(MaskDecoder):
    def prepare(self, dtype: torch.dtype) -> None:
        self.all_heads = [self.pred_obj_score_head, self.iou_prediction_head, *self.output_hypernetworks_mlps]
        self.stacked_heads = stacked(self.all_heads)
        upscale1, _, _, upscale2, _ = self.output_upscaling
        self.upscaling_weights = packed(upscale1.weight), packed(upscale2.weight)
        dim, channels = upscale1.in_channels, upscale2.out_channels
        self.has_kernels = channels >= MIN_CHANNELS and suits_triton(upscale1.weight.device, channels, dim)

    def heads(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        presence_logit, iou, *filters = side_by_side(self.all_heads, self.stacked_heads, tokens)
        return presence_logit.squeeze(-1), iou.sigmoid(), torch.stack(filters, dim=1)

    def masks(self, image: Tensor, filters: Tensor, stride4: Tensor, stride8: Tensor) -> Tensor:
        if not self.has_kernels:
            return super().masks(image, filters, stride4, stride8)
        upscale1, norm, _, upscale2, _ = self.output_upscaling
        weight1, weight2 = self.upscaling_weights
        tokens = image.flatten(2).mT.contiguous()  # they are contiguous already
        tokens = upscale(tokens, weight1, upscale1.bias, stride8, norm)
        return filter_upscaled(tokens, weight2, upscale2.bias, stride4, filters)


def stacked(mlps: Sequence[MLP]) -> list[tuple[Tensor, Tensor]]:
    """Weights [M, in, out] and biases [M, 1, out] of each layer of M MLPs of as many layers."""
    return [_stacked(layers) for layers in zip(*(mlp.layers for mlp in mlps), strict=True)]


def side_by_side(mlps: Sequence[MLP], layers: list[tuple[Tensor, Tensor]], x: Tensor) -> list[Tensor]:
    """Apply M MLPs, each to its own token: x [N, M, dim] -> M times [N, out].

    They are so small that a GPU computes the product of all as fast as that of one.

    Args:
        layers: of the MLPs, `stacked`.
    """
    x = x.transpose(0, 1)
    for i, (weight, bias) in enumerate(layers):
        if i:
            x = getattr(F, mlps[0].activation)(x)
        x = torch.baddbmm(bias, x, weight)
    return [result[:, : mlp.layers[-1].out_features] for result, mlp in zip(x, mlps, strict=True)]


def _stacked(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Weights [M, in, out] and biases [M, 1, out]; narrower ones are padded with zeros, which stay zero."""
    width, height = max(layer.in_features for layer in layers), max(layer.out_features for layer in layers)
    weights = [F.pad(x.weight, (0, width - x.in_features, 0, height - x.out_features)) for x in layers]
    biases = [F.pad(x.bias, (0, height - x.out_features)) for x in layers]
    return torch.stack(weights).mT, torch.stack(biases)[:, None]
