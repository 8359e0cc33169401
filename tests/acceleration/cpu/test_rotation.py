"""Rotation in place equals the plain network's."""

import pytest
import torch

from sam2_ros.acceleration.cpu.rotation import rotate_in_place
from sam2_ros.model.position import axial_rotation, rotate


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pointers", [0, 5])
@torch.no_grad()
def test_equals_rotation_of_a_copy(monkeypatch, dtype, pointers, kernels):
    if not kernels:
        monkeypatch.setattr("sam2_ros.acceleration.cpu.rotation.has_cpu_kernels", lambda dtype: False)
    x, rotation = torch.randn(2, 3 * 12 + pointers, 64).to(dtype), axial_rotation(3, 4, 64, torch.device("cpu"))
    expected = rotate(x, rotation, pointers)
    rotated = x.clone()
    assert rotate_in_place(rotated, rotation, pointers) is rotated
    torch.testing.assert_close(rotated, expected, rtol=2**-7 if dtype == torch.bfloat16 else 1e-6, atol=1e-6)


@torch.no_grad()
def test_expanded_tokens_are_rejected():
    """They would be rotated twice."""
    x = torch.randn(1, 12, 64).expand(2, -1, -1)
    with pytest.raises(RuntimeError, match="single memory location"):
        rotate_in_place(x, axial_rotation(3, 4, 64, torch.device("cpu")))
