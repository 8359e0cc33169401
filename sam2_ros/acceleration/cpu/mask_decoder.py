"""The mask decoder on CPUs, as three float32 kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.cpu.kernels.token_heads import token_heads
from sam2_ros.acceleration.cpu.kernels.transformer import weights
from sam2_ros.acceleration.cpu.kernels.two_way_transformer import MAX_TOKENS, two_way_transformer
from sam2_ros.acceleration.cpu.kernels.upscaling import upscaled_masks
from sam2_ros.model.attention import Attention
from sam2_ros.model.mask_decoder import MaskDecoder, TwoWayTransformer


class CPUTwoWayTransformer(TwoWayTransformer):
    """Fuses the transformer into one kernel, which projects the few tokens instead of the image."""

    @staticmethod
    def fits(module: TwoWayTransformer, dtype: torch.dtype) -> bool:
        return has_cpu_kernels(torch.float32)

    def prepare(self, dtype: torch.dtype) -> None:
        layers = []
        for block in self.layers:
            layers += (*_projections(block.self_attn), block.norm1)
            layers += (*_projections(block.cross_attn_token_to_image), block.norm2)
            layers += (*block.mlp.layers, block.norm3, block.norm4)
            layers += _projections(block.cross_attn_image_to_token)
        self.weights = weights(*layers, *_projections(self.final_attn_token_to_image), self.norm_final_attn)

    def forward(self, tokens: Tensor, image: Tensor, image_position: Tensor) -> tuple[Tensor, Tensor]:
        if tokens.shape[1] > MAX_TOKENS or not _are_float32(tokens, image, image_position):
            return super().forward(tokens, image, image_position)
        heads, eps = self.final_attn_token_to_image.heads, self.norm_final_attn.eps
        return two_way_transformer(tokens, image, image_position, self.weights, heads, eps)


class CPUMaskDecoder(MaskDecoder):
    """Fuses all MLPs on output tokens into one kernel, and upscaling with the mask filters into another."""

    @staticmethod
    def fits(module: MaskDecoder, dtype: torch.dtype) -> bool:
        return has_cpu_kernels(torch.float32)

    def prepare(self, dtype: torch.dtype) -> None:
        heads = [self.pred_obj_score_head, self.iou_prediction_head, *self.output_hypernetworks_mlps]
        self.head_weights = weights(*(layer for head in heads for layer in head.layers))
        upscale1, norm, _, upscale2, _ = self.output_upscaling
        self.upscaling_weights, self.eps = weights(upscale1, norm, upscale2), norm.eps

    def heads(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if not _are_float32(tokens):
            return super().heads(tokens)
        outputs = token_heads(tokens, self.head_weights)
        return outputs[:, 0], outputs[:, 1:5].sigmoid(), outputs[:, 5:].unflatten(1, (4, -1))

    def masks(self, image: Tensor, filters: Tensor, stride4: Tensor, stride8: Tensor) -> Tensor:
        if not _are_float32(image, filters, stride4, stride8):
            return super().masks(image, filters, stride4, stride8)
        return upscaled_masks(image, stride8, stride4, filters, self.upscaling_weights, self.eps)


def _projections(attention: Attention) -> list[torch.nn.Module]:
    return [attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj]


def _are_float32(*tensors: Tensor) -> bool:
    return all(tensor.dtype == torch.float32 for tensor in tensors)
