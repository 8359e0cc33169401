"""The encoder's first layer in C++ equals the convolution, on this processor and on lesser ones."""

import pytest
import torch
from cpu_processors import KINDS, NEEDS_KERNELS, take

from sam2_ros.acceleration.cpu.kernels.patch_embedding import patch_embedding
from sam2_ros.model.hiera import PatchEmbed

pytestmark = NEEDS_KERNELS


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("images", "size", "dim"), [(1, (32, 64), 32), (2, (96, 160), 27), (1, (4, 4), 8), (0, (8, 8), 8)]
)
@torch.no_grad()
def test_equals_the_convolution(monkeypatch, images, size, dim, kind, threads):
    take(kind, monkeypatch, "patch_embedding")
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    torch.manual_seed(0)
    layer, image = PatchEmbed(dim).eval(), 2 * torch.randn(images, 3, *size)
    where = torch.randn(1, size[0] // 4, size[1] // 4, dim)
    found = patch_embedding(image, layer.proj.weight, layer.proj.bias, where)
    expected = layer.double()(image.double()) + where.double()
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=5e-6)


def test_nan_propagates():
    layer, image = PatchEmbed(32).eval(), torch.randn(1, 3, 32, 64)
    image[0, 1, 17, 40] = torch.nan
    with torch.no_grad():
        expected = layer(image) + 1
        result = patch_embedding(image, layer.proj.weight, layer.proj.bias, torch.ones(1, 8, 16, 32))
    assert expected.isnan().any() and torch.equal(result.isnan(), expected.isnan())
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5, equal_nan=True)
