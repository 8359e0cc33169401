"""Shared by tests of the mask decoder's CPU kernels: a decoder with random weights and inputs, and a tolerance."""

from dataclasses import replace

import torch
from cpu_capabilities import with_random_weights

from sam2_ros.model.config import CONFIGS
from sam2_ros.model.mask_decoder import MaskDecoder


def decoder_of(n: int, h: int, w: int, dim: int = 64) -> tuple[MaskDecoder, list[torch.Tensor]]:
    """A decoder; image, filters, and skip connections of strides 4 and 8, which all objects share."""
    torch.manual_seed(0)
    config = replace(CONFIGS["default"], dim=dim, feedforward=32, iou_head_dim=24)
    decoder = with_random_weights(MaskDecoder(config))
    maps = [torch.randn(1, s * h, s * w, dim // c).movedim(-1, 1).expand(n, -1, -1, -1) for s, c in ((4, 8), (2, 4))]
    return decoder, [torch.randn(n, h * w, dim).mT.unflatten(2, (h, w)), torch.randn(n, 4, dim // 8), *maps]


def assert_close(result: torch.Tensor, expected: torch.Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() < 2e-6 * expected.abs().max()
