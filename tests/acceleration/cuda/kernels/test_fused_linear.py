"""Linear layers with GELU, residual sums and windows: their numbers in Triton's interpreter and on a GPU."""

import re

import pytest
import torch
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.fused_linear import TILES, _multiply

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
from itertools import product

import torch
import torch.nn.functional as F
from sam2_ros.acceleration.cuda.kernels.fused_linear import TILES, Tile, fused_linear
from sam2_ros.acceleration.cuda.kernels.layer_norm import layer_norm
from sam2_ros.model.hiera import from_windows, to_windows

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
kinds = ((torch.float16, 2e-3), (torch.bfloat16, 2e-2) if device == "cuda" else (torch.float32, 1e-5))
for dtype, allowed in kinds:
    for m, k, n in ((70, 96, 96), (33, 48, 144), (130, 200, 72)):
        x, weight = torch.randn(m, k, device=device).to(dtype), torch.randn(n, k, device=device).to(dtype) * k**-0.5
        bias, residual = torch.randn(n, device=device), torch.randn(m, n, device=device)
        for gelu, add, tile in product((False, True), (False, True), (None, Tile(32, 64, 4, 2), *TILES)):
            expected = F.linear(x.double(), weight.double(), bias.double())
            expected = F.gelu(expected) if gelu else expected
            expected = expected + residual if add else expected
            result = fused_linear(x, weight, bias, gelu, residual if add else None, 0, tile)
            assert result.dtype == (residual.dtype if add else dtype)
            torch.testing.assert_close(result.double(), expected, rtol=allowed, atol=allowed)
    for b, h, w, window in ((2, 9, 10, 4), (1, 7, 13, 7), (2, 6, 4, 2)):  # some hang over the edges
        map, residual = torch.randn(b, h, w, 32, device=device), torch.randn(b, h, w, 48, device=device)
        scale, shift = torch.randn(2, 32, device=device)
        windows = layer_norm(map, scale, shift, 1e-6, dtype, window=window)
        expected = to_windows(F.layer_norm(map, (32,), scale, shift, 1e-6), window)
        torch.testing.assert_close(windows.float(), expected, rtol=allowed, atol=allowed)
        weight, bias = torch.randn(48, 32, device=device).to(dtype), torch.randn(48, device=device)
        expected = residual + from_windows(F.linear(windows.double(), weight.double(), bias.double()), h, w)
        result = fused_linear(windows, weight, bias, residual=residual, window=window)
        torch.testing.assert_close(result.double(), expected, rtol=1e-4, atol=1e-4)
"""


def test_equals_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(NUMBERS)


def test_compiles(build):
    kinds = dict.fromkeys(("x", "weight", "out"), "*bf16") | dict.fromkeys(("bias", "residual"), "*fp32")
    for tile in TILES:
        for gelu, window, even in ((True, 0, True), (False, 7, False)):
            constants = {"GELU": gelu, "ADD": not gelu, "WINDOW": window, "EVEN": even}
            constants |= {"ROWS": tile.rows, "COLUMNS": tile.columns, "DEPTH": 64}
            out = {} if gelu else {"out": "*fp32"}
            options = {"num_warps": tile.warps, "num_stages": tile.stages}
            code = build(_multiply, kinds | out, constants, ("deep", "wide"), **options)
            assert re.search("wgmma.mma_async|mma.sync", code.asm["ptx"]), "no products of tensor cores"
            assert "ld.global.v4" in code.asm["ptx"] or "cp.async.cg" in code.asm["ptx"], "no loads of 16 bytes"
