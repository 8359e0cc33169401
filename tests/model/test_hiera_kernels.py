"""The image encoder's Triton kernels: without a GPU in Triton's interpreter and through its compiler, and on one."""

import pytest
import torch
from triton_processes import python

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

ATTENTION = """
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
        found = window_attention(qkv, heads, pool)
        torch.testing.assert_close(found.double(), expected, rtol=allowed, atol=allowed)
"""

LINEAR = """
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
            found = fused_linear(x, weight, bias, gelu, residual if add else None, 0, tile)
            assert found.dtype == (residual.dtype if add else dtype)
            torch.testing.assert_close(found.double(), expected, rtol=allowed, atol=allowed)
    for b, h, w, window in ((2, 9, 10, 4), (1, 7, 13, 7), (2, 6, 4, 2)):  # some hang over the edges
        map, residual = torch.randn(b, h, w, 32, device=device), torch.randn(b, h, w, 48, device=device)
        scale, shift = torch.randn(2, 32, device=device)
        windows = layer_norm(map, scale, shift, 1e-6, dtype, window=window)
        expected = to_windows(F.layer_norm(map, (32,), scale, shift, 1e-6), window)
        torch.testing.assert_close(windows.float(), expected, rtol=allowed, atol=allowed)
        weight, bias = torch.randn(48, 32, device=device).to(dtype), torch.randn(48, device=device)
        expected = residual + from_windows(F.linear(windows.double(), weight.double(), bias.double()), h, w)
        found = fused_linear(windows, weight, bias, residual=residual, window=window)
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
"""

PATCHES = """
import torch
import torch.nn.functional as F
from sam2_ros.acceleration.cuda.kernels.patch_embedding import patch_embedding

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
for b, h, w, dim in ((2, 32, 64, 96), (1, 36, 28, 20), (1, 8, 300, 16)):
    image, weight = torch.randn(b, 3, h, w, device=device), torch.randn(dim, 3, 7, 7, device=device) * 0.1
    bias, position = torch.randn(dim, device=device), torch.randn(1, h // 4, w // 4, dim, device=device)
    expected = F.conv2d(image.double(), weight.double(), bias.double(), 4, 3).permute(0, 2, 3, 1) + position
    found = patch_embedding(image, weight, bias, position, 4)
    torch.testing.assert_close(found.double(), expected, rtol=2e-5, atol=2e-5)
"""

SHORTCUTS = """
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
        found = pooled_linear(x, weight, bias)
        torch.testing.assert_close(found.double(), expected, rtol=allowed, atol=allowed)
"""

BLOCKS = """
import torch
from sam2_ros.model import hiera, layers

torch.manual_seed(0)
blocks = (
    # height, width, dim, dim_out, heads, window
    (8, 12, 24, 24, 1, 4),
    (9, 10, 24, 24, 2, 7),
    (8, 8, 24, 48, 2, 4),
    (18, 16, 16, 32, 1, 14),
    (18, 16, 16, 32, 1, 0),
    (6, 5, 16, 16, 1, 0),
    (9, 9, 16, 16, 1, 0),
)
network = hiera.Hiera(hiera.HieraConfig(16, 1, (1, 2, 2, 1), (4,), windows=(8, 4, 7, 7)))
modules = [(hiera.Block(*b[2:], b[2] != b[3], 0.1), torch.randn(2, *b[:3])) for b in blocks]
modules.append((network, torch.randn(1, 3, 96, 64)))
is_enabled, dtype_of = torch.is_autocast_enabled, torch.get_autocast_dtype


def kernels(dtype):  # as if autocast were for CUDA
    hiera.has_kernels = layers.has_kernels = lambda *_, **__: dtype is not None
    torch.is_autocast_enabled = lambda kind: dtype is not None if kind == "cuda" else is_enabled(kind)
    torch.get_autocast_dtype = lambda kind: dtype if kind == "cuda" else dtype_of(kind)


for module, x in modules:
    module.eval().requires_grad_(False)
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    plain, before = module(x), x.clone()
    for dtype, allowed in ((torch.float32, 1e-5), (torch.float16, 2e-3)):
        kernels(dtype)
        with torch.no_grad(), torch.autocast("cpu", torch.float16, enabled=dtype == torch.float16):
            found = module(x)
        kernels(None)
        assert torch.equal(x, before)  # someone may still read it
        for a, b in zip(*((y,) if torch.is_tensor(y) else y for y in (found, plain)), strict=True):
            assert a.dtype == b.dtype == torch.float32 and not torch.equal(a, b)  # equal: they would be the same code
            assert a.shape == b.shape and (a - b).norm() <= allowed * b.norm(), (dtype, (a - b).norm() / b.norm())
"""

ON_A_GPU = """
import torch
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.hiera import Hiera

torch.manual_seed(0)
for name, h, w in (("default", 320, 256), ("sam2.1_hiera_tiny", 512, 480), ("sam2.1_hiera_base_plus", 256, 256)):
    network = Hiera(CONFIGS[name].hiera).eval().requires_grad_(False)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    network, image = network.cuda(), torch.randn(1, 3, h, w, device="cuda")
    with torch.no_grad():
        expected = [x.float() for x in network.double()(image.double())]
        network.float()
        for dtype, allowed in ((torch.float16, 3e-3), (torch.bfloat16, 2e-2)):
            with torch.autocast("cuda", dtype):
                found = network(image)
            for a, b in zip(found, expected, strict=True):
                assert a.dtype == torch.float32 and a.shape == b.shape and a.isfinite().all()
                assert (a - b).norm() <= allowed * b.norm(), (name, dtype, ((a - b).norm() / b.norm()).item())
"""

CODE = """
import re
import sys

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from sam2_ros.acceleration.cuda.kernels import fused_linear, patch_embedding, pooled_linear, window_attention

capability, memory = int(sys.argv[1]), int(sys.argv[2])
HALF = dict.fromkeys(("qkv", "x", "weight", "out"), "*bf16")
KINDS = HALF | dict.fromkeys(("bias", "residual", "image", "position"), "*fp32") | {"scale": "fp32"}


def built(kernel, constants, single=(), **options):
    names, pointers = kernel.arg_names, KINDS | dict.fromkeys(single, "*fp32")
    kinds = {name: "constexpr" if name in constants else pointers.get(name, "i32") for name in names}
    aligned = [name for name in names if name in pointers and name != "scale" or name in ("deep", "wide", "taps")]
    hints = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    source = ASTSource(kernel, kinds, constants, hints)
    code = compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert code.metadata.shared <= memory, (constants, code.metadata.shared)
    assert re.search("wgmma.mma_async|mma.sync", code.asm["ptx"]), "no products of tensor cores"
    assert "ld.global.v4" in code.asm["ptx"] or "cp.async.cg" in code.asm["ptx"], "no loads of 16 bytes"


for side, pool, together, queries in ((8, False, 1, 64), (8, True, 1, 16), (4, False, 4, 64), (14, True, 1, 64)):
    constants = {"HEIGHT": side, "WIDTH": side, "POOL": pool, "TOGETHER": together, "C": 96, "WIDE": 128}
    constants |= {"BLOCK_Q": queries, "BLOCK_K": 64}
    built(window_attention._attend, constants, num_warps=8 if side > 8 else 4, num_stages=2)
for tile in fused_linear.TILES:
    for gelu, window, even in ((True, 0, True), (False, 7, False)):
        constants = {"GELU": gelu, "ADD": not gelu, "WINDOW": window, "EVEN": even}
        constants |= {"ROWS": tile.rows, "COLUMNS": tile.columns, "DEPTH": 64}
        options = {"num_warps": tile.warps, "num_stages": tile.stages}
        built(fused_linear._multiply, constants, () if gelu else ("out",), **options)
constants = {"CHANNELS": 3, "SIDE": 7, "STRIDE": 4, "PIXELS": 64, "FEATURES": 128, "DEPTH": 32}
for precision in ("tf32", "tf32x3"):
    built(
        *(patch_embedding._embed, constants | {"PRECISION": precision}, ("weight", "out")), num_warps=8, num_stages=2
    )
constants = {"PRECISION": "tf32", "ROWS": 128, "COLUMNS": 64, "DEPTH": 32}
built(pooled_linear._multiply, constants, ("x", "weight", "out"), num_warps=8, num_stages=3)
"""


@pytest.mark.parametrize(
    "code", [ATTENTION, LINEAR, PATCHES, SHORTCUTS], ids=["attention", "linear", "patches", "shortcuts"]
)
def test_numbers_are_those_of_pytorch(code: str):
    python(code, TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


def test_blocks_through_the_kernels_are_what_they_are_without():
    python(BLOCKS, TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize(
    "code",
    [ATTENTION, LINEAR, PATCHES, SHORTCUTS, ON_A_GPU],
    ids=["attention", "linear", "patches", "shortcuts", "hiera"],
)
def test_numbers_on_a_gpu(code: str):
    python(code)


@pytest.mark.parametrize(("capability", "shared_memory"), [("87", 166_912), ("89", 101_376), ("90", 232_448)])
def test_compiles_for_jetson_orin_and_larger_gpus(capability: str, shared_memory: int, tmp_path):
    """Within the shared memory that a block may have there."""
    python(CODE, capability, str(shared_memory), TRITON_CACHE_DIR=str(tmp_path))
