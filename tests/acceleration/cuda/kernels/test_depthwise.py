"""Depthwise convolutions: their numbers in Triton's interpreter."""

import pytest
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.depthwise import _convolve

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
from torch import nn
from sam2_ros.acceleration.cuda.kernels import depthwise
from sam2_ros.model.layers import LayerNorm2d

torch.manual_seed(0)
torch.set_grad_enabled(False)
for depthwise.MIN_PIXELS_OF_FOUR_ROWS in (2**14, 0):
    for n, c, h, w in ((2, 64, 5, 37), (1, 256, 9, 10), (1, 16, 3, 4)):
        convolution, norm = nn.Conv2d(c, c, 7, padding=3, groups=c), LayerNorm2d(c)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        x = torch.randn(n, h, w, c).movedim(-1, 1)
        weight = depthwise.packed(convolution.weight)
        result = depthwise.depthwise(x, weight, convolution.bias, norm, torch.float32)
        torch.testing.assert_close(result, norm(convolution(x)), rtol=1e-5, atol=1e-5)
        assert result.is_contiguous(memory_format=torch.channels_last)
"""


def test_convolutions_equal_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1")


def test_compiles(build):
    kinds = {"x": "*bf16", "out": "*bf16", "eps": "fp32"}
    kinds |= dict.fromkeys(("weight", "bias", "scale", "shift"), "*fp32")
    for rows, other in ((2, {}), (4, {"x": "*fp32"})):
        code = build(_convolve, kinds | other, {"C": 256, "ROWS": rows, "COLUMNS": 8})
        assert code.metadata.shared < 48 * 1024
