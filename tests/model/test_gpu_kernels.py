"""The Triton kernels without a GPU: their numbers in Triton's interpreter, machine code by Triton's compiler."""

import pytest
import torch
from triton_processes import python

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
from itertools import product

import torch
from sam2_ros.model.gpu_kernels.narrow_attention import Blocks, narrow_attention

small = Blocks(32, 32, 4, 2)
torch.manual_seed(0)
for dtype, allowed in ((torch.float32, 2e-6), (torch.float16, 1e-3)):  # the interpreter has no products in bfloat16
    for b, heads, q, k, c, d in ((1, 1, 64, 128, 256, 64), (2, 1, 70, 333, 256, 64), (2, 2, 33, 45, 32, 16)):
        query, key, value = (torch.randn(b, heads, n, w).to(dtype) for n, w in ((q, c), (k, c), (k, d)))
        holes = torch.arange(k).expand(b, k) % 150 < 40  # there are blocks without any
        for valid, parts in product((None, torch.rand(b, k) < 0.6, holes), (1, 5)):
            found = narrow_attention(query, key.mT.contiguous().mT, value, valid, small, parts)
            scores = query.double() @ key.double().mT * c**-0.5
            if valid is not None:
                scores.masked_fill_(~valid[:, None, None], -torch.inf)
            wrong = (found.double() - scores.softmax(-1) @ value.double()).abs().max().item()
            assert found.shape == (b, heads, q, d) and wrong <= allowed, (dtype, b, heads, q, k, valid is None, wrong)
large = torch.full((1, 1, 16, 16), 300.0)  # scores of a hundred thousand
assert torch.allclose(narrow_attention(large, large, large, None, small), large)
"""

NETWORK = """
import torch
from sam2_ros.model import attention, memory_attention, position

torch.manual_seed(0)
layer = memory_attention.RotaryAttention(64, dropout=0.0, key_dim=16).requires_grad_(False)
torch.nn.init.normal_(layer.v_proj.bias)
query, key, value = torch.randn(1, 16, 64), torch.randn(2, 40, 16), torch.randn(2, 40, 16)  # 2 maps of 4 x 4
attention.learns_nothing_on_cpu = attention.has_kernels = position.has_kernels = lambda *_: False
for valid in (None, torch.rand(2, 40) < 0.6):
    plain = layer(query, key, value, (4, 4), 8, valid)
    attention.has_kernels = position.has_kernels = lambda *_: True
    found = layer(query, key, value, (4, 4), 8, valid)
    attention.has_kernels = position.has_kernels = lambda *_: False
    assert found.shape == plain.shape and not torch.equal(found, plain)  # equal: they would be the same code
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5)
"""

CODE = """
import re
import sys

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from sam2_ros.model.gpu_kernels.channel_norm import _normalise
from sam2_ros.model.gpu_kernels.narrow_attention import SHARES, _attend, _join
from sam2_ros.model.gpu_kernels.rotation import _turn

capability, memory = int(sys.argv[1]), int(sys.argv[2])
BF16 = dict.fromkeys(("query", "key", "value", "x"), "*bf16")
FP32 = dict.fromkeys(("totals", "each", "rotation", "weight", "bias"), "*fp32") | {"scale": "fp32", "eps": "fp32"}
KINDS = BF16 | FP32 | {"valid": "*u8", "visited": "*i32", "visits": "*i32"}


def built(kernel, out, constants, **options):
    names, pointers = kernel.arg_names, KINDS | {"out": out}
    kinds = {name: "constexpr" if name in constants else pointers.get(name, "i32") for name in names}
    aligned = [name for name in names if name.endswith("_row") or pointers.get(name, "").startswith("*")]
    hints = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    source = ASTSource(kernel, kinds, constants, hints)
    return compile(source, target=GPUTarget("cuda", capability, 32), options=options)


share = next(share for least, share in SHARES.items() if memory >= least)
blocks = {"C": 256, "D": 64, "BLOCK_Q": share.queries, "BLOCK_K": share.keys}
for split, masked in ((False, False), (False, True), (True, True)):
    constants = blocks | {"MASKED": masked, "SPLIT": split}
    code = built(_attend, "*fp32" if split else "*bf16", constants, num_warps=share.warps, num_stages=share.stages)
    assert code.metadata.shared <= memory, code.metadata.shared
    assert re.search("wgmma.mma_async|mma.sync", code.asm["ptx"]), "no products of tensor cores"
others = (
    (_join, {"D": 64, "BLOCK": 32}),
    (_turn, {"C": 256, "ROWS": 16}),
    *((_normalise, {"C": c, "GELU": True, "BLOCK": 4096 // c}) for c in (4, 256)),
)
for kernel, constants in others:
    assert built(kernel, "*bf16", constants).asm["cubin"]
"""

NORM = """
import torch
from sam2_ros.model.gpu_kernels.channel_norm import channel_norm
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
from sam2_ros.model.gpu_kernels.narrow_attention import narrow_attention
from sam2_ros.model.position import axial_rotation, rotate

torch.manual_seed(0)
for dtype, allowed in ((torch.bfloat16, 6e-3), (torch.float16, 1e-3)):
    for b, heads, q, k, c, d in ((1, 1, 4096, 8256, 256, 64), (3, 1, 432, 3100, 128, 64), (2, 2, 70, 333, 32, 16)):
        query, key, value = (torch.randn(b, heads, n, w, device="cuda").to(dtype) for n, w in ((q, c), (k, c), (k, d)))
        holes = torch.arange(k, device="cuda").expand(b, k) % 500 < 90
        for valid in (None, torch.rand(b, k, device="cuda") < 0.6, holes):
            found = narrow_attention(query, key, value, valid)
            scores = query.double() @ key.double().mT * c**-0.5
            if valid is not None:
                scores.masked_fill_(~valid[:, None, None], -torch.inf)
            expected = scores.softmax(-1) @ value.double()
            wrong = float((found - expected).norm() / expected.norm())
            assert wrong <= allowed, (dtype, b, heads, q, k, valid is None, wrong)
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
"""


def test_numbers_are_those_of_plain_attention():
    python(NUMBERS, TRITON_INTERPRET="1")


def test_norms_are_those_of_pytorch():
    python(NORM, TRITON_INTERPRET="1")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(ON_A_GPU)


def test_memory_attention_through_the_kernel_is_what_it_is_without():
    python(NETWORK, TRITON_INTERPRET="1")


@pytest.mark.parametrize(("capability", "shared_memory"), [("87", 166_912), ("89", 101_376), ("90", 232_448)])
def test_compiles_for_jetson_orin_and_larger_gpus(capability: str, shared_memory: int, tmp_path):
    """Within the shared memory that a block may have there."""
    python(CODE, capability, str(shared_memory), TRITON_CACHE_DIR=str(tmp_path))
