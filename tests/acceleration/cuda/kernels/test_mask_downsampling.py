"""The first convolutions of masks: their numbers in Triton's interpreter."""

import pytest
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.mask_downsampling import _convolve, _from_logits

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
import torch.nn.functional as F
from torch import nn

from sam2_ros.acceleration.cuda.kernels.mask_downsampling import convolve, from_logits, packed
from sam2_ros.model.layers import LayerNorm2d
from sam2_ros.model.memory_encoder import mask_of


def layers(channels):
    convolution, norm = nn.Conv2d(channels, 4 * channels, 3, stride=2, padding=1), LayerNorm2d(4 * channels)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return convolution, norm


torch.manual_seed(0)
torch.set_grad_enabled(False)
shapes = (2, 8, 12), (1, 20, 4), (3, 4, 4)
for prompted in (False, True):
    convolution, norm = layers(1)
    for shape in shapes:
        logits = 5 * torch.randn(shape)
        logits[0, :2] = -1024
        result = from_logits(logits, prompted, convolution, norm, torch.float32)
        expected = F.gelu(norm(convolution(mask_of(logits, prompted))))
        torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
        assert result.is_contiguous(memory_format=torch.channels_last)
for c in (4, 16):
    convolution, norm = layers(c)
    for n, h, w in shapes:
        for dtype, allowed in ((torch.float32, 1e-5), (torch.float16, 5e-3)):
            x = torch.randn(n, h, w, c).movedim(-1, 1)
            result = convolve(x.to(dtype), packed(convolution.weight, dtype), convolution.bias, norm)
            torch.testing.assert_close(result.float(), F.gelu(norm(convolution(x))), rtol=allowed, atol=allowed)
            assert result.dtype == dtype and result.is_contiguous(memory_format=torch.channels_last)
"""


def test_convolutions_equal_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1")


def test_compiles(build):
    kinds = {"x": "*bf16", "out": "*bf16", "eps": "fp32"}
    kinds |= dict.fromkeys(("logits", "weight", "bias", "scale", "shift"), "*fp32")
    for prompted in (False, True):
        assert build(_from_logits, kinds, {"PROMPTED": prompted, "BLOCK": 128}).metadata.shared < 48 * 1024
    for c, wide, warps in ((4, 16, 4), (16, 64, 8)):
        constants = {"C": c, "D": 4 * c, "WIDE": wide, "BLOCK": 128}
        code = build(_convolve, kinds | {"weight": "*bf16"}, constants, num_warps=warps)
        assert code.metadata.shared < 48 * 1024
