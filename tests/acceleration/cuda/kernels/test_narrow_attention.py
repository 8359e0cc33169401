"""Attention with values narrower than keys: its numbers in Triton's interpreter and on a GPU, and its selection."""

import re

import pytest
import torch
from triton_processes import python

from sam2_ros.acceleration.cuda import attention
from sam2_ros.acceleration.cuda.attention import suits_narrow_attention
from sam2_ros.acceleration.cuda.kernels.narrow_attention import FEW_KEYS, FEW_QUERIES, SHARES, _attend, _combine

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
from itertools import product

import torch
from sam2_ros.acceleration.cuda.kernels.narrow_attention import Blocks, narrow_attention

small = Blocks(32, 32, 4, 2)
torch.manual_seed(0)
for dtype, allowed in ((torch.float32, 2e-6), (torch.float16, 1e-3)):  # the interpreter has no products in bfloat16
    for b, heads, q, k, c, d in ((1, 1, 64, 128, 256, 64), (2, 1, 70, 333, 256, 64), (3, 2, 33, 45, 32, 16)):
        packed = (torch.randn(b, n, heads, w).to(dtype).transpose(1, 2) for n, w in ((q, c), (k, c), (k, d)))
        query, key, value = packed
        some = torch.tensor([k, 32, 1][:b]).int(), torch.tensor([k - 1] * b).int()
        for lengths, parts in product((None, *some), (1, 5)):
            result = narrow_attention(query, key.mT.contiguous().mT, value, lengths, small, parts)
            scores = query.double() @ key.double().mT * c**-0.5
            if lengths is not None:
                scores.masked_fill_(torch.arange(k) >= lengths[:, None, None, None], -torch.inf)
            wrong = (result.double() - scores.softmax(-1) @ value.double()).abs().max().item()
            assert result.shape == (b, heads, q, d) and wrong <= allowed, (dtype, b, heads, q, k, lengths, wrong)
            assert result.transpose(1, 2).is_contiguous()
large = torch.full((1, 1, 16, 16), 300.0)  # scores of a hundred thousand
assert torch.allclose(narrow_attention(large, large, large, None, small), large)
"""

ON_A_GPU = """
import torch
from sam2_ros.acceleration.cuda.kernels.narrow_attention import narrow_attention

torch.manual_seed(0)
for dtype, allowed in ((torch.bfloat16, 6e-3), (torch.float16, 1e-3)):
    for b, heads, q, k, c, d in ((1, 1, 4096, 8256, 256, 64), (3, 1, 432, 3100, 128, 64), (2, 2, 70, 333, 32, 16)):
        query, key, value = (torch.randn(b, heads, n, w, device="cuda").to(dtype) for n, w in ((q, c), (k, c), (k, d)))
        for lengths in (None, torch.randint(1, k, (b,), device="cuda").int()):
            result = narrow_attention(query, key, value, lengths)
            scores = query.double() @ key.double().mT * c**-0.5
            if lengths is not None:
                counts = torch.arange(k, device="cuda") < lengths[:, None, None, None]
                scores.masked_fill_(~counts, -torch.inf)
            expected = scores.softmax(-1) @ value.double()
            wrong = float((result - expected).norm() / expected.norm())
            assert wrong <= allowed, (dtype, b, heads, q, k, lengths, wrong)
for q, k, c in ((8, 4096, 16), (4096, 8, 16), (8, 8, 32), (9, 1000, 16)):  # a decoder's, in float32
    query, key, value = (torch.randn(3, 8, n, c, device="cuda") for n in (q, k, k))
    expected = (query.double() @ key.double().mT * c**-0.5).softmax(-1) @ value.double()
    torch.testing.assert_close(narrow_attention(query, key, value).double(), expected, rtol=1e-4, atol=1e-5)
"""


def test_equals_plain_attention():
    python(NUMBERS, TRITON_INTERPRET="1")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(ON_A_GPU)


@pytest.mark.parametrize(
    ("queries", "keys", "width", "dtype", "taken"),
    [
        (8, 4096, 16, torch.float32, True),
        (4096, 8, 64, torch.float32, True),
        (8, 4096, 128, torch.float32, False),  # more shared memory than any GPU has
        (16, 16, 256, torch.bfloat16, False),
        (4096, 4096, 64, torch.float32, False),
        (4096, 400, 256, torch.bfloat16, False),
    ],
)
def test_kernel_is_selected_by_size_and_precision(monkeypatch, queries, keys, width, dtype, taken):
    monkeypatch.setattr(attention, "suits_triton", lambda *_: True)
    query, key = (torch.empty(1, 1, n, width, dtype=dtype) for n in (queries, keys))
    with torch.autocast("cpu", torch.bfloat16):
        assert suits_narrow_attention(query, key, key) is taken


def test_compiles(build, gpu):
    half = dict.fromkeys(("query", "key", "value", "out"), "*bf16")
    kinds = half | dict.fromkeys(("log_totals", "means"), "*fp32") | {"lengths": "*i32", "scale": "fp32"}
    strides = [name for name in _attend.arg_names if name.endswith(("_row", "_head", "_batch", "_part"))]
    share = next(share for least, share in SHARES.items() if gpu[1] >= least)
    for ragged, split in ((False, False), (True, False), (True, True)):
        constants = {"C": 256, "D": 64, "BLOCK_Q": share.queries, "BLOCK_K": share.keys}
        constants |= {"RAGGED": ragged, "SPLIT": split}
        out = {"out": "*fp32"} if split else {}
        code = build(_attend, kinds | out, constants, strides, num_warps=share.warps, num_stages=share.stages)
        assert re.search("wgmma.mma_async|mma.sync", code.asm["ptx"]), "no products of tensor cores"
    single = dict.fromkeys(half, "*fp32")
    for few, width in ((FEW_QUERIES, 16), (FEW_KEYS, 16), (FEW_QUERIES, 32)):
        constants = {"C": width, "D": width, "BLOCK_Q": few.queries, "BLOCK_K": few.keys}
        constants |= {"RAGGED": False, "SPLIT": False}
        build(_attend, kinds | single, constants, strides, num_warps=few.warps, num_stages=few.stages)
    strides = [name for name in _combine.arg_names if name.endswith(("_row", "_head", "_batch"))]
    build(_combine, kinds, {"D": 64, "BLOCK": 32}, strides)
