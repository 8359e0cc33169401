"""The memory encoder's faster classes for CUDA: in Triton's interpreter, and on a GPU if there is one."""

from pathlib import Path

import pytest
import torch
from triton_processes import python

TESTS = str(Path(__file__).parents[2])

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")

NETWORK = """
import torch
from cuda_twin import precision
from small_network import network

from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model import sam2

torch.manual_seed(0)
model = network().eval()
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.2)
twin = twin_of(model, CUDA_CLASSES, torch.float32)
image = sam2.ImageFeatures(*(torch.randn(1, 4, 4, 4),) * 2, torch.randn(1, model.config.dim, 2, 3))
logits, presence = 3 * torch.randn(2, 8, 12), torch.tensor([1.0, -1.0])
for prompted in (False, True, torch.tensor([True, False])):
    with precision(torch.float32):  # which changes nothing
        plain, result = (network.encode_memory(image, logits, presence, prompted) for network in (model, twin))
    torch.testing.assert_close(result, plain, rtol=1e-4, atol=1e-4)
    assert not torch.equal(result, plain)  # equal: they would be the same code
"""

ON_A_GPU = """
import torch

from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model import SAM2, sam2
from sam2_ros.model.config import CONFIGS

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
            image_on_gpu = sam2.ImageFeatures(**{name: x.cuda() for name, x in vars(image).items()})
            arguments = [x.cuda() if isinstance(x, torch.Tensor) else x for x in (logits, presence, prompted)]
            for dtype, allowed in ((torch.bfloat16, 2e-2), (torch.float16, 3e-3)):
                twin = twin_of(model.cuda(), CUDA_CLASSES, dtype)
                with torch.autocast("cuda", dtype):
                    memory = twin.encode_memory(image_on_gpu, *arguments)
                wrong = float((memory.cpu().float() - expected).norm() / expected.norm())
                assert memory.dtype == dtype and wrong < allowed, (dtype, n, h, w, prompted, wrong)
"""


def test_memories_through_kernels_equal_the_plain_ones():
    python(NETWORK, TRITON_INTERPRET="1", PYTHONPATH=TESTS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_memories_on_a_gpu_equal_those_of_a_cpu():
    python(ON_A_GPU)
