"""The mask decoder's Triton kernels, without a GPU as with one."""

from itertools import product

import pytest
import torch
from triton_processes import python

from sam2_ros.model.config import CONFIGS
from sam2_ros.model.layers import MLP, constant_weights
from sam2_ros.model.mask_decoder import MaskDecoder, side_by_side

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
import torch.nn.functional as F
from torch import nn

from sam2_ros.acceleration.cuda.kernels.upscaling import filter_upscaled, upscale
from sam2_ros.model.layers import LayerNorm2d

torch.manual_seed(0)
torch.set_grad_enabled(False)


def skips(n, c, h, w):
    yield torch.randn(n, c, h, w)
    yield torch.randn(n, h, w, c).movedim(-1, 1)
    yield torch.randn(1, c, h, w)
    yield torch.randn(1, h, w, c).movedim(-1, 1).expand(n, -1, -1, -1)


for dim, n, h, w in ((128, 1, 5, 7), (128, 3, 5, 7), (256, 1, 9, 8)):
    grow1, grow2 = nn.ConvTranspose2d(dim, dim // 4, 2, 2), nn.ConvTranspose2d(dim // 4, dim // 8, 2, 2)
    norm = LayerNorm2d(dim // 4)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x, filters = torch.randn(n, h * w, dim), torch.randn(n, 4, dim // 8)
    for skip8, skip4 in zip(skips(n, dim // 4, 2 * h, 2 * w), skips(n, dim // 8, 4 * h, 4 * w)):
        image = norm(grow1(x.mT.unflatten(2, (h, w))) + skip8, "gelu")
        found = upscale(x, grow1, skip8, norm)
        torch.testing.assert_close(found, image.flatten(2).mT, rtol=1e-5, atol=1e-5)
        logits = filters @ F.gelu(grow2(image) + skip4).flatten(2)
        found = filter_upscaled(found, grow2, skip4, filters)
        torch.testing.assert_close(found, logits.view(n, 4, 4 * h, 4 * w), rtol=1e-5, atol=2e-5)
"""

DECODER = """
import torch
from sam2_ros.model import mask_decoder
from sam2_ros.model.config import CONFIGS

torch.manual_seed(0)
dim = 128
decoder = mask_decoder.MaskDecoder(CONFIGS["default"]).requires_grad_(False)
for n, h, w in ((1, 4, 6), (3, 5, 7)):
    image, position, prompts = torch.randn(n, dim, h, w), torch.randn(dim, h, w), torch.randn(n, 2, dim)
    skips = torch.randn(1, dim // 8, 4 * h, 4 * w), torch.randn(1, dim // 4, 2 * h, 2 * w)
    given = image, position, prompts, *(skip.expand(n, -1, -1, -1) for skip in skips)
    before = image.clone()
    mask_decoder.has_kernels = lambda *_, **__: False
    plain = decoder(*given)
    mask_decoder.has_kernels = lambda *_, **__: True
    found = decoder(*given)
    assert not torch.equal(found.logits, plain.logits)  # equal: they would be the same code
    for name in ("logits", "iou", "tokens", "presence_logit"):
        torch.testing.assert_close(getattr(found, name), getattr(plain, name), rtol=1e-5, atol=1e-5)
    assert torch.equal(image, before)
"""

CODE = """
import re
import sys

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from sam2_ros.acceleration.cuda.kernels.upscaling import BLOCKS, _filter, _upscale

capability, memory = int(sys.argv[1]), int(sys.argv[2])
POINTERS = ("x", "weight", "bias", "skip", "scale", "shift", "filters", "out")
KINDS = dict.fromkeys(POINTERS, "*fp32") | {"eps": "fp32"}

for precision, blocks in BLOCKS.items():
    for kernel, inputs, channels in ((_upscale, 256, 64), (_filter, 64, 32), (_upscale, 128, 32), (_filter, 32, 16)):
        constants = {"K": inputs, "C": channels, "CELLS": blocks.cells, "INNER": min(blocks.inner, inputs // 2)}
        constants |= {"PRECISION": precision, "skip_channel": 1}
        if kernel is _filter:
            constants["MASKS"] = 4
        names = kernel.arg_names
        kinds = {name: "constexpr" if name in constants else KINDS.get(name, "i32") for name in names}
        aligned = [name for name in names if name in POINTERS or name in ("skip_object", "skip_row", "skip_column")]
        hints = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
        options = {"num_warps": blocks.warps, "num_stages": blocks.stages}
        source = ASTSource(kernel, kinds, constants, hints)
        code = compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        assert code.metadata.shared <= memory, code.metadata.shared
        assert bool(re.search("wgmma.mma_async|mma.sync", code.asm["ptx"])) == (precision == "tf32")
"""


def test_upscaling_is_that_of_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1")


def test_the_decoder_through_the_kernels_is_what_it_is_without():
    python(DECODER, TRITON_INTERPRET="1")


@pytest.mark.parametrize(("capability", "shared_memory"), [("87", 166_912), ("89", 101_376), ("90", 232_448)])
def test_compiles_for_jetson_orin_and_larger_gpus(capability: str, shared_memory: int, tmp_path):
    """Within the shared memory that a block may have there."""
    python(CODE, capability, str(shared_memory), TRITON_CACHE_DIR=str(tmp_path))


@torch.no_grad()
def test_heads_side_by_side_are_the_heads():
    torch.manual_seed(0)
    mlps = [MLP(32, 32, 1, layers=3), MLP(32, 16, 4, layers=3), MLP(32, 32, 8, layers=3)]
    x = torch.randn(5, 3, 32)
    for i, found in enumerate(side_by_side(mlps, x)):
        torch.testing.assert_close(found, mlps[i](x[:, i]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize(("rounded", "allowed"), [(False, 1e-4), (True, 2e-2)])
@torch.no_grad()
def test_the_decoder_on_a_gpu(monkeypatch, rounded: bool, allowed: float):
    """With products as they are, and rounded to TF32."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", rounded)
    torch.manual_seed(0)
    for name, n, h, w in (("default", 3, 5, 7), ("sam2.1_hiera_tiny", 2, 16, 16)):
        decoder, dim = MaskDecoder(CONFIGS[name]), CONFIGS[name].dim
        image, position, prompts = torch.randn(n, dim, h, w), torch.randn(dim, h, w), torch.randn(n, 2, dim)
        stride4, stride8 = torch.randn(1, dim // 8, 4 * h, 4 * w), torch.randn(1, dim // 4, 2 * h, 2 * w)
        given = image, position, prompts, stride4, stride8.to(memory_format=torch.channels_last)
        expected = decoder(*given)
        decoder, given = decoder.cuda(), [x.cuda() for x in given]
        found = [decoder(*given)]
        with constant_weights({}):
            found += [decoder(*given), decoder(*given)]
        for i, part in product(range(3), ("logits", "iou", "tokens", "presence_logit")):
            wrong = getattr(found[i], part).cpu() - getattr(expected, part)
            assert float(wrong.norm() / getattr(expected, part).norm()) <= allowed, (name, i, part)
