"""Layer norm over the channels of a map: its numbers in Triton's interpreter and on a GPU."""

import pytest
import torch
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.channel_norm import _normalise

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
import torch.nn.functional as F
from sam2_ros.acceleration.cuda.kernels.channel_norm import channel_norm
from sam2_ros.model.layers import LayerNorm2d

torch.manual_seed(0)
for c, h, w in ((4, 33, 37), (64, 9, 6), (256, 3, 5)):
    norm = LayerNorm2d(c).requires_grad_(False)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    for x in (torch.randn(2, c, h, w) + 3, torch.randn(2, h, w, c).movedim(-1, 1), torch.randn(2, c, w, h).mT):
        for gelu in (False, True):
            result = channel_norm(x, norm.weight, norm.bias, norm.eps, gelu)
            torch.testing.assert_close(result, F.gelu(norm(x)) if gelu else norm(x), rtol=1e-5, atol=1e-5)
            assert result.movedim(1, -1).is_contiguous()
norm = LayerNorm2d(64).requires_grad_(False)
torch.nn.init.normal_(norm.weight)
x, bias = torch.randn(2, 64, 5, 3), 3 * torch.randn(64)
for x in (x, x.to(memory_format=torch.channels_last)):
    result = channel_norm(x, norm.weight, norm.bias, norm.eps, True, bias)
    torch.testing.assert_close(result, F.gelu(norm(x + bias[:, None, None])), rtol=1e-5, atol=1e-5)
"""

ON_A_GPU = """
import torch
import torch.nn.functional as F
from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.layers import LayerNorm2d

torch.manual_seed(0)
for dtype in (torch.bfloat16, torch.float16):
    for c, h, w in ((4, 133, 137), (64, 9, 6), (256, 3, 5)):
        norm, x = LayerNorm2d(c).requires_grad_(False), torch.randn(2, c, h, w).to(dtype) + 3
        torch.nn.init.normal_(norm.weight)
        expected = F.gelu(norm(x.float()))
        result = twin_of(norm.cuda(), CUDA_CLASSES, dtype).with_gelu(x.cuda())
        torch.testing.assert_close(result.float().cpu(), expected, rtol=2e-2, atol=2e-2)
norm, x = LayerNorm2d(16).requires_grad_(False), torch.randn(2, 16, 33, 37)
expected, result = F.gelu(norm(x)), twin_of(norm.cuda(), CUDA_CLASSES, torch.float32).with_gelu(x.cuda())
assert result.dtype == torch.float32
torch.testing.assert_close(result.cpu(), expected, rtol=1e-5, atol=1e-5)
"""


def test_norms_equal_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(ON_A_GPU)


def test_compiles(build):
    kinds = {"x": "*bf16", "out": "*bf16", "eps": "fp32"} | dict.fromkeys(("added", "weight", "bias"), "*fp32")
    single = dict.fromkeys(("x", "out"), "*fp32")
    for c, other in ((4, {}), (64, single), (256, {})):
        constants = {"C": c, "ADD": c == 256, "GELU": True, "BLOCK": 4096 // c}
        assert build(_normalise, kinds | other, constants).metadata.shared < 48 * 1024
