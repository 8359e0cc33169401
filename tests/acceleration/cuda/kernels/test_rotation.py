"""Rotary embedding in place; in the interpreter it runs in test_classes.py."""

import pytest
import torch
from triton_processes import python

from sam2_ros.acceleration.cuda.kernels.rotation import _rotate

pytestmark = pytest.mark.slow

ON_A_GPU = """
import torch
from sam2_ros.acceleration.cuda.kernels.rotation import rotate_in_place
from sam2_ros.model.position import axial_rotation, rotate

torch.manual_seed(0)
for dtype in (torch.bfloat16, torch.float16):
    x = torch.randn(2, 3 * 24 * 18 + 7, 128).to(dtype)
    expected = rotate(x, axial_rotation(24, 18, 128, x.device), 7)
    result = rotate_in_place(x.clone().cuda(), axial_rotation(24, 18, 128, torch.device("cuda")), 7)
    torch.testing.assert_close(result.cpu(), expected, rtol=1e-2, atol=1e-2)
    assert torch.equal(result.cpu()[:, -7:], x[:, -7:])
"""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_numbers_on_a_gpu():
    python(ON_A_GPU)


def test_compiles(build):
    build(_rotate, {"x": "*bf16", "rotation": "*fp32"}, {"C": 256, "ROWS": 16}, ("batch", "row"))
