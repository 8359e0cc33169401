"""The memory encoder's Triton kernels: in Triton's interpreter, through its compiler, and on a GPU if there is one."""

from pathlib import Path

import pytest
import torch
from triton_processes import python

pytestmark = pytest.mark.slow

TESTS = str(Path(__file__).parents[1])

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NUMBERS = """
import torch
from torch import nn

from sam2_ros.acceleration.cuda.kernels import depthwise
from sam2_ros.acceleration.cuda.kernels.addition import add
from sam2_ros.acceleration.cuda.kernels.channel_norm import channel_norm
from sam2_ros.acceleration.cuda.kernels.mask_downsampling import convolve, from_logits
from sam2_ros.model.layers import LayerNorm2d
from sam2_ros.model.memory_encoder import mask_of


def layers(channels):
    convolution, norm = nn.Conv2d(channels, 4 * channels, 3, stride=2, padding=1), LayerNorm2d(4 * channels)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return convolution, norm


torch.manual_seed(0)
torch.set_grad_enabled(False)
shapes = (2, 8, 12), (1, 20, 4), (3, 4, 4)
for prompted in (False, True):
    convolution, norm = layers(1)
    for shape in shapes:
        logits = 5 * torch.randn(shape)
        logits[0, :2] = -1024
        found = from_logits(logits, prompted, convolution, norm, torch.float32)
        expected = norm(convolution(mask_of(logits, prompted)), "gelu")
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert found.is_contiguous(memory_format=torch.channels_last)
for c in (4, 16):
    convolution, norm = layers(c)
    for n, h, w in shapes:
        for dtype, allowed in ((torch.float32, 1e-5), (torch.float16, 5e-3)):
            x = torch.randn(n, h, w, c).movedim(-1, 1)
            found = convolve(x.to(dtype), convolution, norm)
            torch.testing.assert_close(found.float(), norm(convolution(x), "gelu"), rtol=allowed, atol=allowed)
            assert found.dtype == dtype and found.is_contiguous(memory_format=torch.channels_last)
for depthwise.MANY in (2**14, 0):
    for n, c, h, w in ((2, 64, 5, 37), (1, 256, 9, 10), (1, 16, 3, 4)):
        convolution, norm = nn.Conv2d(c, c, 7, padding=3, groups=c), layers(c // 4)[1]
        x = torch.randn(n, h, w, c).movedim(-1, 1)
        found = depthwise.depthwise(x, convolution, norm, torch.float32)
        torch.testing.assert_close(found, norm(convolution(x)), rtol=1e-5, atol=1e-5)
        assert found.is_contiguous(memory_format=torch.channels_last)
_, norm = layers(16)
x, bias = torch.randn(2, 64, 5, 3), 3 * torch.randn(64)
for x in (x, x.to(memory_format=torch.channels_last)):
    found = channel_norm(x, norm.weight, norm.bias, norm.eps, True, bias)
    torch.testing.assert_close(found, norm(x + bias[:, None, None], "gelu"), rtol=1e-5, atol=1e-5)
    y = torch.randn(3, 5, 3, 64).movedim(-1, 1).half()
    x = x.to(memory_format=torch.channels_last)
    for some in (x[:1], torch.cat((x, x[:1]))):
        for dtype in (torch.float32, torch.float16):
            assert torch.equal(add(some, y, dtype), (some + y).to(dtype))
"""

NETWORK = """
import torch
from small_network import network

from sam2_ros.model import layers, sam2

torch.manual_seed(0)
model = network().eval()
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.2)
image = sam2.ImageFeatures(*(torch.randn(1, 4, 4, 4),) * 2, torch.randn(1, model.config.dim, 2, 3))
logits, presence = 3 * torch.randn(2, 8, 12), torch.tensor([1.0, -1.0])
torch.is_autocast_enabled, torch.get_autocast_dtype = lambda kind: kind == "cuda", lambda *_: torch.float32
layers.has_cpu_kernels = lambda dtype: False  # test_memory_encoder_cpu_kernels.py has them
for prompted in (False, True, torch.tensor([True, False])):
    each = []
    for kernels in (False, True):
        layers.has_kernels = lambda *_, **__: kernels
        with torch.no_grad(), layers.constant_weights({}):
            each.append(model.encode_memory(image, logits, presence, prompted))
    layers.has_kernels = lambda *_, **__: False
    with torch.no_grad():
        plain = model.encode_memory(image, logits, presence, prompted)
    for found in each:
        torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)
    assert not torch.equal(*each)  # equal: they would be the same code
"""

CODE = """
import sys

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from sam2_ros.acceleration.cuda.kernels import addition, channel_norm, depthwise, mask_downsampling

HALF = dict.fromkeys(("x", "y", "out"), "*bf16")
FP32 = dict.fromkeys(("logits", "added", "weight", "bias", "scale", "shift"), "*fp32") | {"eps": "fp32"}


def build(kernel, constants, other={}, **options):
    names, pointers = kernel.arg_names, HALF | FP32 | other
    kinds = {name: "constexpr" if name in constants else pointers.get(name, "i32") for name in names}
    aligned = [name for name in names if pointers.get(name, "").startswith("*")]
    hints = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    target = GPUTarget("cuda", int(sys.argv[1]), 32)
    code = compile(ASTSource(kernel, kinds, constants, hints), target=target, options=options)
    assert code.metadata.shared < 48 * 1024


single = dict.fromkeys(("x", "out"), "*fp32")
for prompted in (False, True):
    build(mask_downsampling._start, {"PROMPTED": prompted, "BLOCK": 128})
for c, wide, warps in ((4, 16, 4), (16, 64, 8)):
    constants = {"C": c, "D": 4 * c, "WIDE": wide, "BLOCK": 128}
    build(mask_downsampling._convolve, constants, {"weight": "*bf16"}, num_warps=warps)
for c, other in ((4, {}), (64, single), (256, {})):
    build(channel_norm._normalise, {"C": c, "ADD": c == 256, "GELU": True, "BLOCK": 4096 // c}, other)
for other in ({}, {"out": "*fp32"}, {"x": "*fp32"}):
    build(addition._add, {"BLOCK": 2048}, other)
for rows, other in ((2, {}), (4, {"x": "*fp32"})):
    build(depthwise._convolve, {"C": 256, "ROWS": rows, "COLUMNS": 8}, other)
"""

ON_A_GPU = """
import torch

from sam2_ros.model import SAM2, sam2
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.layers import LayerNorm2d, constant_weights

torch.manual_seed(0)
model = SAM2(CONFIGS["default"].at(256)).eval()
for name, parameter in model.memory_encoder.named_parameters():
    if "norm" not in name and parameter.ndim > 1:
        torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    if name.endswith("gamma"):
        torch.nn.init.normal_(parameter)
for n, h, w in ((1, 4, 4), (3, 9, 12), (2, 16, 16)):  # 64 .. 256 pixels
    logits, presence = 4 * torch.randn(n, 4 * h, 4 * w), torch.randn(n)
    logits[0, :2] = -1024
    for prompted in (False, True, torch.rand(n) > 0.5):
        with torch.no_grad():
            image = sam2.ImageFeatures(*(torch.randn(1, 4, 4, 4),) * 2, torch.randn(1, model.config.dim, h, w))
            expected = model.cpu().encode_memory(image, logits, presence, prompted)
            there = sam2.ImageFeatures(**{name: x.cuda() for name, x in vars(image).items()})
            given = [x.cuda() if isinstance(x, torch.Tensor) else x for x in (logits, presence, prompted)]
            for dtype, allowed in ((torch.bfloat16, 2e-2), (torch.float16, 3e-3)):
                with torch.autocast("cuda", dtype):
                    found = model.cuda().encode_memory(there, *given)
                    with constant_weights({}):
                        again = model.encode_memory(there, *given)
                for memory in (found, again):
                    wrong = float((memory.cpu().float() - expected).norm() / expected.norm())
                    assert memory.dtype == dtype and wrong < allowed, (dtype, n, h, w, prompted, wrong)
norm, x = LayerNorm2d(16), torch.randn(2, 16, 33, 37)
with torch.no_grad():
    expected, found = norm(x, "gelu"), norm.cuda()(x.cuda(), "gelu")
assert found.dtype == torch.float32
torch.testing.assert_close(found.cpu(), expected, rtol=1e-5, atol=1e-5)
"""


def test_numbers_are_those_of_pytorch():
    python(NUMBERS, TRITON_INTERPRET="1")


def test_memories_through_kernels_are_what_they_are_without():
    python(NETWORK, TRITON_INTERPRET="1", PYTHONPATH=TESTS)


@pytest.mark.parametrize("capability", ["87", "89", "90"])
def test_compiles_for_jetson_orin_and_larger_gpus(capability: str, tmp_path):
    python(CODE, capability, TRITON_CACHE_DIR=str(tmp_path))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_memories_on_a_gpu_are_those_of_a_cpu():
    python(ON_A_GPU)
