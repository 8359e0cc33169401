"""The image encoder's faster classes for CUDA: in Triton's interpreter, and on a GPU if there is one."""

from pathlib import Path

import pytest
import torch
from triton_processes import python

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

TESTS = str(Path(__file__).parents[2])

BLOCKS = """
import torch
from cuda_twin import precision
from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model import hiera

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
for module, x in modules:
    module.eval().requires_grad_(False)
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    plain, before = module(x), x.clone()
    for dtype, allowed in ((torch.float32, 1e-5), (torch.float16, 2e-3)):
        twin = twin_of(module, CUDA_CLASSES, dtype)
        with precision(dtype):
            result = twin(x)
        assert torch.equal(x, before)  # someone may still read it
        for a, b in zip(*((y,) if torch.is_tensor(y) else y for y in (result, plain)), strict=True):
            assert a.dtype == b.dtype == torch.float32 and not torch.equal(a, b)  # equal: they would be the same code
            assert a.shape == b.shape and (a - b).norm() <= allowed * b.norm(), (dtype, (a - b).norm() / b.norm())
"""

ON_A_GPU = """
import torch
from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.twin import twin_of
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
            twin = twin_of(network, CUDA_CLASSES, dtype)
            with torch.autocast("cuda", dtype):
                result = twin(image)
            for a, b in zip(result, expected, strict=True):
                assert a.dtype == torch.float32 and a.shape == b.shape and a.isfinite().all()
                assert (a - b).norm() <= allowed * b.norm(), (name, dtype, ((a - b).norm() / b.norm()).item())
"""


def test_blocks_through_the_kernels_equal_the_plain_ones():
    python(BLOCKS, TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="", PYTHONPATH=TESTS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(ON_A_GPU)
