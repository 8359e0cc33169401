"""Embedding of patches: its numbers in Triton's interpreter and on a GPU."""

import re

import pytest
import torch
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.patch_embedding import _embed

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
import torch.nn.functional as F
from sam2_ros.acceleration.cuda.kernels.patch_embedding import packed, patch_embedding

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
for b, h, w, dim in ((2, 32, 64, 96), (1, 36, 28, 20), (1, 8, 300, 16)):
    image, weight = torch.randn(b, 3, h, w, device=device), torch.randn(dim, 3, 7, 7, device=device) * 0.1
    bias, position = torch.randn(dim, device=device), torch.randn(1, h // 4, w // 4, dim, device=device)
    expected = F.conv2d(image.double(), weight.double(), bias.double(), 4, 3).permute(0, 2, 3, 1) + position
    result = patch_embedding(image, packed(weight), bias, position)
    torch.testing.assert_close(result.double(), expected, rtol=2e-5, atol=2e-5)
"""


def test_equals_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(NUMBERS)


def test_compiles(build):
    kinds = dict.fromkeys(("image", "weight", "bias", "position", "out"), "*fp32")
    constants = {"CHANNELS": 3, "SIDE": 7, "STRIDE": 4, "PIXELS": 64, "FEATURES": 128, "DEPTH": 32}
    for precision in ("tf32", "tf32x3"):
        code = build(_embed, kinds, constants | {"PRECISION": precision}, ("taps",), num_warps=8, num_stages=2)
        assert re.search("wgmma.mma_async|mma.sync", code.asm["ptx"]), "no products of tensor cores"
        assert "ld.global.v4" in code.asm["ptx"] or "cp.async.cg" in code.asm["ptx"], "no loads of 16 bytes"
