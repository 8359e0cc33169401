"""Memory attention's faster classes for CUDA: in Triton's interpreter, and on a GPU if there is one."""

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
channels_last = memories["maps"].movedim(2, -1).contiguous().movedim(-1, 2)
none = {"pointers": torch.randn(2, 0, dim), "pointer_age": torch.zeros(2, 0)}
for changed in ({}, holes, holes | {"maps": channels_last}, none | {"map_valid": holes["map_valid"]}):
    given = sam2.Memories(**memories | changed)
    with precision(torch.float32):  # which changes nothing
        plain, result = model.condition(image, given), twin.condition(image, given)
    assert result.shape == plain.shape and not torch.equal(result, plain)  # equal: they would be the same code
    torch.testing.assert_close(result, plain, rtol=1e-4, atol=1e-4)
"""

ON_A_GPU = """
import torch
from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model import SAM2, sam2
from sam2_ros.model.config import CONFIGS

torch.manual_seed(0)
model = SAM2(CONFIGS["default"].at(256)).eval()
for parameter in model.memory_attention.parameters():
    torch.nn.init.normal_(parameter, std=0.06)
dim, c = model.config.dim, model.config.memory_dim
image = sam2.ImageFeatures(*(torch.randn(1, 4, 4, 4),) * 2, torch.randn(1, dim, 16, 18))
inputs = {
    "maps": torch.randn(3, 10, c, 16, 18).bfloat16(),
    "map_age": torch.randint(0, 7, (3, 10)),
    "pointers": torch.randn(3, 19, dim),
    "pointer_age": torch.randint(-3, 16, (3, 19)),
    "map_valid": torch.rand(3, 10) < 0.6,
    "pointer_valid": torch.rand(3, 19) < 0.6,
}
inputs["map_valid"][:, 0] = True
with torch.no_grad():
    expected = model.condition(image, sam2.Memories(**inputs | {"maps": inputs["maps"].float()}))
    model.cuda()
    image = sam2.ImageFeatures(**{name: x.cuda() for name, x in vars(image).items()})
    for dtype, allowed in ((torch.bfloat16, 2e-2), (torch.float16, 3e-3)):
        memories = {name: x.cuda() for name, x in inputs.items()}
        memories["maps"] = memories["maps"].to(dtype)
        twin = twin_of(model, CUDA_CLASSES, dtype)
        with torch.autocast("cuda", dtype):
            result = twin.condition(image, sam2.Memories(**memories)).cpu()
        wrong = float((result - expected).norm() / expected.norm())
        assert result.dtype == torch.float32 and wrong < allowed, (dtype, wrong)
"""


def test_memory_attention_through_kernels_equals_the_plain_one():
    python(NETWORK, TRITON_INTERPRET="1", PYTHONPATH=TESTS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(ON_A_GPU)
