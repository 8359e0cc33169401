"""The Triton kernels without a GPU: their numbers in Triton's interpreter, machine code by Triton's compiler."""

from pathlib import Path

import pytest
import torch
from triton_processes import python

from sam2_ros.model import attention

pytestmark = pytest.mark.slow

TESTS = str(Path(__file__).parents[1])

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
            found = narrow_attention(query, key.mT.contiguous().mT, value, lengths, small, parts)
            scores = query.double() @ key.double().mT * c**-0.5
            if lengths is not None:
                scores.masked_fill_(torch.arange(k) >= lengths[:, None, None, None], -torch.inf)
            wrong = (found.double() - scores.softmax(-1) @ value.double()).abs().max().item()
            assert found.shape == (b, heads, q, d) and wrong <= allowed, (dtype, b, heads, q, k, lengths, wrong)
            assert found.transpose(1, 2).is_contiguous()
large = torch.full((1, 1, 16, 16), 300.0)  # scores of a hundred thousand
assert torch.allclose(narrow_attention(large, large, large, None, small), large)
"""

NETWORK = """
import torch
from sam2_ros.model import attention, layers, memory_attention, position, sam2
from small_network import network

torch.manual_seed(0)
model = network().eval()
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.2)
dim, c = model.config.dim, model.config.memory_dim
image = sam2.ImageFeatures(*(torch.randn(1, 4, 4, 4), torch.randn(1, 4, 4, 4), torch.randn(1, dim, 3, 5)))
memories = {
    "maps": torch.randn(2, 4, c, 3, 5),
    "map_age": torch.tensor([[0, 0, 1, 2], [3, 1, 6, 4]]),
    "pointers": torch.randn(2, 5, dim),
    "pointer_age": torch.tensor([[0, 3, 4, 15, -2], [1, 2, 3, 4, 5]]),
}
holes = {
    "map_valid": torch.tensor([[True, False, True, True], [False, True, False, False]]),
    "pointer_valid": torch.tensor([[True] * 5, [False, True, False, True, True]]),
}
layers.has_cpu_kernels = attention.learns_nothing_on_cpu = lambda *_: False  # as on a GPU
torch.is_autocast_enabled, torch.get_autocast_dtype = lambda kind: kind == "cuda", lambda *_: torch.float32
modules = attention, layers, position, sam2


def condition(kernels, **memories):
    for module in modules:
        module.has_kernels = lambda *_, **__: kernels
    with torch.no_grad():
        return model.condition(image, sam2.Memories(**memories))


channels_last = memories["maps"].movedim(2, -1).contiguous().movedim(-1, 2)
none = {"pointers": torch.randn(2, 0, dim), "pointer_age": torch.zeros(2, 0)}
for changed in ({}, holes, holes | {"maps": channels_last}, none | {"map_valid": holes["map_valid"]}):
    plain, found = condition(False, **memories | changed), condition(True, **memories | changed)
    assert found.shape == plain.shape and not torch.equal(found, plain)  # equal: they would be the same code
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)
"""

CODE = """
import re
import sys

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from sam2_ros.acceleration.cuda.kernels import key_projection, layer_norm, memory_tokens
from sam2_ros.acceleration.cuda.kernels.narrow_attention import FEW_KEYS, FEW_QUERIES, SHARES, _attend, _join
from sam2_ros.acceleration.cuda.kernels.rotation import _turn

capability, memory = int(sys.argv[1]), int(sys.argv[2])
HALF = dict.fromkeys(("query", "key", "value", "x", "add", "maps", "position", "out"), "*bf16")
FP32 = dict.fromkeys(("totals", "each", "rotation", "weight", "bias", "where", "when", "pointers"), "*fp32")
WHOLE = dict.fromkeys(("lengths", "counts"), "*i32") | dict.fromkeys(("valid", "map_valid"), "*u8") | {"age": "*i64"}
KINDS = HALF | FP32 | WHOLE | {"scale": "fp32", "eps": "fp32"}


def built(kernel, constants, other={}, **options):
    names, pointers = kernel.arg_names, KINDS | other
    kinds = {name: "constexpr" if name in constants else pointers.get(name, "i32") for name in names}
    strides = [name for name in names if name.endswith(("_row", "_head", "_batch", "_part"))]
    aligned = strides + [name for name in names if pointers.get(name, "").startswith("*")]
    hints = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    source = ASTSource(kernel, kinds, constants, hints)
    code = compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert code.metadata.shared <= memory, (kernel, code.metadata.shared)
    return code


share = next(share for least, share in SHARES.items() if memory >= least)
for ragged, split in ((False, False), (True, False), (True, True)):
    constants = {"C": 256, "D": 64, "BLOCK_Q": share.queries, "BLOCK_K": share.keys, "RAGGED": ragged, "SPLIT": split}
    code = built(
        _attend, constants, {"out": "*fp32"} if split else {}, num_warps=share.warps, num_stages=share.stages
    )
    assert re.search("wgmma.mma_async|mma.sync", code.asm["ptx"]), "no products of tensor cores"
single = dict.fromkeys(("query", "key", "value", "out", "x"), "*fp32")
for few, width in ((FEW_QUERIES, 16), (FEW_KEYS, 16), (FEW_QUERIES, 32)):
    constants = {"C": width, "D": width, "BLOCK_Q": few.queries, "BLOCK_K": few.keys, "RAGGED": False, "SPLIT": False}
    built(_attend, constants, single, num_warps=few.warps, num_stages=few.stages)
built(key_projection._project, {"C": 64, "ROWS": 64, "PAIRS": 64}, {"weight": "*bf16"}, num_warps=8)
for c, window in ((96, True), (256, False), (768, True)):
    wide = 1 << (c - 1).bit_length()
    constants = {"C": c, "WIDE": wide, "ADD": not window, "WINDOWS": window, "BLOCK": 4096 // wide}
    built(layer_norm._normalise, constants, {"x": "*fp32"})
others = (
    (_join, {"D": 64, "BLOCK": 32}),
    (_turn, {"C": 256, "ROWS": 16}),
    (memory_tokens._lay_maps, {"C": 64, "SLOTS": 16, "CELLS": 64}),
    (memory_tokens._lay_pointers, {"DIM": 256, "C": 64, "SLOTS": 32, "MAP_SLOTS": 16}),
)
for kernel, constants in others:
    built(kernel, constants)
"""

NORM = """
import torch
from sam2_ros.acceleration.cuda.kernels.channel_norm import channel_norm
from sam2_ros.model.layers import LayerNorm2d

torch.manual_seed(0)
for c, h, w in ((4, 33, 37), (64, 9, 6), (256, 3, 5)):
    norm = LayerNorm2d(c).requires_grad_(False)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    for x in (torch.randn(2, c, h, w) + 3, torch.randn(2, h, w, c).movedim(-1, 1), torch.randn(2, c, w, h).mT):
        for then in ("none", "gelu"):
            found = channel_norm(x, norm.weight, norm.bias, norm.eps, then == "gelu")
            torch.testing.assert_close(found, norm(x, then), rtol=1e-5, atol=1e-5)
            assert found.movedim(1, -1).is_contiguous()
"""

ON_A_GPU = """
import torch
from sam2_ros.model.layers import LayerNorm2d
from sam2_ros.acceleration.cuda.kernels.narrow_attention import narrow_attention
from sam2_ros.model.position import axial_rotation, rotate

torch.manual_seed(0)
for dtype, allowed in ((torch.bfloat16, 6e-3), (torch.float16, 1e-3)):
    for b, heads, q, k, c, d in ((1, 1, 4096, 8256, 256, 64), (3, 1, 432, 3100, 128, 64), (2, 2, 70, 333, 32, 16)):
        query, key, value = (torch.randn(b, heads, n, w, device="cuda").to(dtype) for n, w in ((q, c), (k, c), (k, d)))
        for lengths in (None, torch.randint(1, k, (b,), device="cuda").int()):
            found = narrow_attention(query, key, value, lengths)
            scores = query.double() @ key.double().mT * c**-0.5
            if lengths is not None:
                counts = torch.arange(k, device="cuda") < lengths[:, None, None, None]
                scores.masked_fill_(~counts, -torch.inf)
            expected = scores.softmax(-1) @ value.double()
            wrong = float((found - expected).norm() / expected.norm())
            assert wrong <= allowed, (dtype, b, heads, q, k, lengths, wrong)
    x = torch.randn(2, 3 * 24 * 18 + 7, 128).to(dtype)
    with torch.no_grad():
        expected = rotate(x.clone(), axial_rotation(24, 18, 128, x.device), 7)
        found = rotate(x.clone().cuda(), axial_rotation(24, 18, 128, torch.device("cuda")), 7)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-2, atol=1e-2)
    assert torch.equal(found.cpu()[:, -7:], x[:, -7:])
    for c, h, w in ((4, 133, 137), (64, 9, 6), (256, 3, 5)):
        norm, x = LayerNorm2d(c), torch.randn(2, c, h, w).to(dtype) + 3
        torch.nn.init.normal_(norm.weight)
        with torch.no_grad():
            found, expected = norm.cuda()(x.cuda(), "gelu"), norm.cpu()(x.float(), "gelu")
        torch.testing.assert_close(found.float().cpu(), expected, rtol=2e-2, atol=2e-2)
for q, k, c in ((8, 4096, 16), (4096, 8, 16), (8, 8, 32), (9, 1000, 16)):  # a decoder's, in float32
    query, key, value = (torch.randn(3, 8, n, c, device="cuda") for n in (q, k, k))
    expected = (query.double() @ key.double().mT * c**-0.5).softmax(-1) @ value.double()
    torch.testing.assert_close(narrow_attention(query, key, value).double(), expected, rtol=1e-4, atol=1e-5)
"""

MEMORY_ON_A_GPU = """
import torch
from sam2_ros.model import SAM2, sam2
from sam2_ros.model.config import CONFIGS

torch.manual_seed(0)
model = SAM2(CONFIGS["default"].at(256)).eval()
for parameter in model.memory_attention.parameters():
    torch.nn.init.normal_(parameter, std=0.06)
dim, c = model.config.dim, model.config.memory_dim
image = sam2.ImageFeatures(*(torch.randn(1, 4, 4, 4),) * 2, torch.randn(1, dim, 16, 18))
given = {
    "maps": torch.randn(3, 10, c, 16, 18).bfloat16(),
    "map_age": torch.randint(0, 7, (3, 10)),
    "pointers": torch.randn(3, 19, dim),
    "pointer_age": torch.randint(-3, 16, (3, 19)),
    "map_valid": torch.rand(3, 10) < 0.6,
    "pointer_valid": torch.rand(3, 19) < 0.6,
}
given["map_valid"][:, 0] = True
with torch.no_grad():
    expected = model.condition(image, sam2.Memories(**given | {"maps": given["maps"].float()}))
    model.cuda()
    image = sam2.ImageFeatures(**{name: x.cuda() for name, x in vars(image).items()})
    for dtype, allowed in ((torch.bfloat16, 2e-2), (torch.float16, 3e-3)):
        memories = {name: x.cuda() for name, x in given.items()}
        memories["maps"] = memories["maps"].to(dtype)
        with torch.autocast("cuda", dtype):
            found = model.condition(image, sam2.Memories(**memories)).cpu()
        wrong = float((found - expected).norm() / expected.norm())
        assert found.dtype == torch.float32 and wrong < allowed, (dtype, wrong)
"""


def test_numbers_are_those_of_plain_attention():
    python(NUMBERS, TRITON_INTERPRET="1")


def test_norms_are_those_of_pytorch():
    python(NORM, TRITON_INTERPRET="1")


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
def test_kernels_are_taken_where_they_fit_and_are_faster(monkeypatch, queries, keys, width, dtype, taken):
    def has_kernels(x, *widths, float32=False):
        return float32 or x.dtype == torch.bfloat16

    monkeypatch.setattr(attention, "has_kernels", has_kernels)
    query, key = (torch.empty(1, 1, n, width, dtype=dtype) for n in (queries, keys))
    assert attention._is_for_the_gpu_kernel(query, key, key) is taken


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize("code", [ON_A_GPU, MEMORY_ON_A_GPU], ids=["kernels", "memory attention"])
def test_numbers_on_a_gpu(code):
    python(code)


def test_memory_attention_through_kernels_is_what_it_is_without():
    python(NETWORK, TRITON_INTERPRET="1", PYTHONPATH=TESTS)


@pytest.mark.parametrize(("capability", "shared_memory"), [("87", 166_912), ("89", 101_376), ("90", 232_448)])
def test_compiles_for_jetson_orin_and_larger_gpus(capability: str, shared_memory: int, tmp_path):
    """Within the shared memory that a block may have there."""
    python(CODE, capability, str(shared_memory), TRITON_CACHE_DIR=str(tmp_path))
