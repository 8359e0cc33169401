"""Attention within windows: its numbers in Triton's interpreter and on a GPU."""

import re

import pytest
import torch
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.window_attention import _attend

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
from sam2_ros.acceleration.cuda.kernels.window_attention import window_attention
from sam2_ros.model.hiera import max_pool

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
cases = (
    # windows, height, width, heads, channels, pool
    (3, 8, 8, 1, 96, False),
    (3, 8, 8, 2, 32, True),
    (5, 4, 4, 2, 24, False),  # four of them together
    (5, 4, 4, 2, 24, True),
    (2, 7, 7, 2, 56, False),
    (2, 14, 14, 1, 72, True),
    (1, 14, 14, 1, 32, False),
    (9, 2, 3, 1, 16, False),
    (3, 5, 6, 2, 8, True),
)
kinds = ((torch.float16, 1e-3), (torch.bfloat16, 1e-2) if device == "cuda" else (torch.float32, 2e-6))
for dtype, allowed in kinds:
    for n, h, w, heads, c, pool in cases:
        qkv = torch.randn(n, h, w, 3 * heads * c, device=device).to(dtype)
        q, k, v = qkv.double().chunk(3, dim=-1)
        if pool:
            q = max_pool(q)
        h, w = q.shape[1:3]
        q, k, v = (x.reshape(n, -1, heads, c).transpose(1, 2) for x in (q, k, v))
        expected = ((q @ k.mT * c**-0.5).softmax(-1) @ v).transpose(1, 2).reshape(n, h, w, -1)
        result = window_attention(qkv, heads, pool)
        torch.testing.assert_close(result.double(), expected, rtol=allowed, atol=allowed)
"""


def test_equals_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(NUMBERS)


def test_compiles(build):
    kinds = {"qkv": "*bf16", "out": "*bf16", "scale": "fp32"}
    for side, pool, together, queries in ((8, False, 1, 64), (8, True, 1, 16), (4, False, 4, 64), (14, True, 1, 64)):
        constants = {"HEIGHT": side, "WIDTH": side, "POOL": pool, "TOGETHER": together, "C": 96, "WIDE": 128}
        constants |= {"BLOCK_Q": queries, "BLOCK_K": 64}
        code = build(_attend, kinds, constants, num_warps=8 if side > 8 else 4, num_stages=2)
        assert re.search("wgmma.mma_async|mma.sync", code.asm["ptx"]), "no products of tensor cores"
        assert "ld.global.v4" in code.asm["ptx"] or "cp.async.cg" in code.asm["ptx"], "no loads of 16 bytes"
