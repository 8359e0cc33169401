"""Position encodings."""

import torch

from sam2_ros.model.position import axial_rotation, rotate, sine_grid, sine_time


def test_rotation_depends_on_relative_position_only():
    rotation = axial_rotation(4, 4, 32, torch.device("cpu"))
    q, k = torch.randn(32), torch.randn(32)
    products = (rotate(q.expand(1, 16, -1), rotation) @ rotate(k.expand(1, 16, -1), rotation).mT).view(4, 4, 4, 4)
    torch.testing.assert_close(products[0, 0, 1, 2], products[2, 1, 3, 3])
    torch.testing.assert_close(products[0, 0, 0, 0], q @ k)
    assert abs(products[0, 0, 1, 2] - products[0, 0, 2, 1]) > 1e-3, "rows and columns turn different channels"


def test_sine_encodings_tell_places_and_ages_apart():
    grid = sine_grid(8, 8, 32, torch.device("cpu")).flatten(1).T
    ages = sine_time(torch.arange(40) / 15, 64)
    for encoded in (grid, ages):
        assert encoded.abs().max() <= 1
        assert (torch.cdist(encoded, encoded) + torch.eye(len(encoded))).min() > 1e-3


def test_object_pointers_are_not_rotated():
    x, rotation = torch.randn(2, 3 * 12 + 5, 16), axial_rotation(3, 4, 16, torch.device("cpu"))
    rotated = rotate(x, rotation, pointer_tokens=5)
    assert torch.equal(x[:, 3 * 12 :], rotated[:, 3 * 12 :]) and not torch.equal(x, rotated)
    torch.testing.assert_close(rotated.norm(dim=2), x.norm(dim=2))
    assert rotate(x.bfloat16(), rotation, pointer_tokens=5).dtype == torch.bfloat16
