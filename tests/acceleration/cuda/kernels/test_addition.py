"""Sums of maps: their numbers in Triton's interpreter."""

import pytest
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.addition import _add

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
from sam2_ros.acceleration.cuda.kernels.addition import add

torch.manual_seed(0)
x = torch.randn(2, 64, 5, 3).to(memory_format=torch.channels_last)
y = torch.randn(3, 5, 3, 64).movedim(-1, 1).half()
for some in (x[:1], torch.cat((x, x[:1]))):
    for dtype in (torch.float32, torch.float16):
        assert torch.equal(add(some, y, dtype), (some + y).to(dtype))
"""


def test_sums_equal_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1")


def test_compiles(build):
    kinds = dict.fromkeys(("x", "y", "out"), "*bf16")
    for other in ({}, {"out": "*fp32"}, {"x": "*fp32"}):
        assert build(_add, kinds | other, {"BLOCK": 2048}).metadata.shared < 48 * 1024
