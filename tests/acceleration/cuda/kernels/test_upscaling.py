"""The mask decoder's upscaling: its numbers in Triton's interpreter."""

import re

import pytest
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.upscaling import BLOCKS, _filter, _upscale

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
import torch.nn.functional as F
from torch import nn

from sam2_ros.acceleration.cuda.kernels.upscaling import filter_upscaled, packed, upscale
from sam2_ros.model.layers import LayerNorm2d

torch.manual_seed(0)
torch.set_grad_enabled(False)


def skips(n, c, h, w):
    yield torch.randn(n, c, h, w)
    yield torch.randn(n, h, w, c).movedim(-1, 1)
    yield torch.randn(1, c, h, w)
    yield torch.randn(1, h, w, c).movedim(-1, 1).expand(n, -1, -1, -1)


for dim, n, h, w in ((128, 1, 5, 7), (128, 3, 5, 7), (256, 1, 9, 8)):
    upscale1, upscale2 = nn.ConvTranspose2d(dim, dim // 4, 2, 2), nn.ConvTranspose2d(dim // 4, dim // 8, 2, 2)
    norm = LayerNorm2d(dim // 4)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x, filters = torch.randn(n, h * w, dim), torch.randn(n, 4, dim // 8)
    for skip8, skip4 in zip(skips(n, dim // 4, 2 * h, 2 * w), skips(n, dim // 8, 4 * h, 4 * w)):
        image = F.gelu(norm(upscale1(x.mT.unflatten(2, (h, w))) + skip8))
        result = upscale(x, packed(upscale1.weight), upscale1.bias, skip8, norm)
        torch.testing.assert_close(result, image.flatten(2).mT, rtol=1e-5, atol=1e-5)
        logits = filters @ F.gelu(upscale2(image) + skip4).flatten(2)
        result = filter_upscaled(result, packed(upscale2.weight), upscale2.bias, skip4, filters)
        torch.testing.assert_close(result, logits.view(n, 4, 4 * h, 4 * w), rtol=1e-5, atol=2e-5)
"""


def test_upscaling_equals_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1")


def test_compiles(build):
    pointers = ("x", "weight", "bias", "skip", "scale", "shift", "filters", "out")
    kinds = dict.fromkeys(pointers, "*fp32") | {"eps": "fp32"}
    sizes = (_upscale, 256, 64), (_filter, 64, 32), (_upscale, 128, 32), (_filter, 32, 16)
    for precision, blocks in BLOCKS.items():
        for kernel, inputs, channels in sizes:
            constants = {"K": inputs, "C": channels, "CELLS": blocks.cells, "INNER": min(blocks.inner, inputs // 2)}
            constants |= {"PRECISION": precision, "skip_channel": 1}
            if kernel is _filter:
                constants["MASKS"] = 4
            aligned = ("skip_object", "skip_row", "skip_column")
            code = build(kernel, kinds, constants, aligned, num_warps=blocks.warps, num_stages=blocks.stages)
            assert bool(re.search("wgmma.mma_async|mma.sync", code.asm["ptx"])) == (precision == "tf32")
