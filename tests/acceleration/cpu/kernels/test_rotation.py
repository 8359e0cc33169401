"""Rotation of bfloat16 in place equals the product of complex numbers."""

import pytest
import torch
from cpu_processors import NEEDS_KERNELS

from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.cpu.kernels.rotation import rotate_in_place
from sam2_ros.model.position import axial_rotation, rotate

pytestmark = NEEDS_KERNELS


def test_equals_the_product_of_complex_numbers():
    if not has_cpu_kernels(torch.bfloat16):
        pytest.skip("this processor has none")
    rotation = axial_rotation(5, 6, 64, torch.device("cpu"))
    x = torch.randn(2, 3 * 30 + 7, 128).bfloat16()[:, :, :64]  # rows apart
    rotated = x.clone()
    rotate_in_place(rotated, rotation, 7)
    expected = rotate(x, rotation, 7)
    assert torch.equal(rotated[:, 90:], x[:, 90:])
    torch.testing.assert_close(rotated, expected, rtol=2**-7, atol=0)
    assert (rotated != expected).float().mean() < 0.01  # where they lay in the middle between two numbers
