"""Linear layers with pooling: their numbers in Triton's interpreter and on a GPU."""

import re

import pytest
import torch
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.pooled_linear import _multiply

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
import torch.nn.functional as F
from sam2_ros.acceleration.cuda.kernels.pooled_linear import pooled_linear
from sam2_ros.model.hiera import max_pool

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
for allow_tf32, allowed in ((False, 1e-5), (True, 2e-3)):
    torch.backends.cuda.matmul.allow_tf32 = allow_tf32
    for b, h, w, c, d in ((2, 6, 8, 24, 48), (1, 5, 75, 96, 80), (1, 4, 2, 100, 16)):
        x, weight = torch.randn(b, h, w, c, device=device), torch.randn(d, c, device=device) * c**-0.5
        bias = torch.randn(d, device=device)
        expected = max_pool(F.linear(x.double(), weight.double(), bias.double()))
        result = pooled_linear(x, weight, bias)
        torch.testing.assert_close(result.double(), expected, rtol=allowed, atol=allowed)
"""


def test_equals_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(NUMBERS)


def test_compiles(build):
    kinds = dict.fromkeys(("x", "weight", "bias", "out"), "*fp32")
    constants = {"PRECISION": "tf32", "ROWS": 128, "COLUMNS": 64, "DEPTH": 32}
    code = build(_multiply, kinds, constants, ("deep", "wide"), num_warps=8, num_stages=3)
    assert re.search("wgmma.mma_async|mma.sync", code.asm["ptx"]), "no products of tensor cores"
    assert "ld.global.v4" in code.asm["ptx"] or "cp.async.cg" in code.asm["ptx"], "no loads of 16 bytes"
