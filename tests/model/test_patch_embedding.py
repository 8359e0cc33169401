"""The encoder's first layer for CPUs is the convolution, on this processor and on lesser ones."""

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
def test_it_is_the_convolution(monkeypatch, images, size, dim, kind, threads):
    take(kind, monkeypatch, "patch_embedding")
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    torch.manual_seed(0)
    layer, image = PatchEmbed(dim).eval(), 2 * torch.randn(images, 3, *size)
    where = torch.randn(1, size[0] // 4, size[1] // 4, dim)
    found = patch_embedding(image, layer.proj.weight, layer.proj.bias, where)
    expected = layer.double()(image.double(), lambda rows, columns: where.double())
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=5e-6)


def test_it_is_taken_where_nothing_is_learnt(monkeypatch):
    layer, image = PatchEmbed(32).eval(), torch.randn(1, 3, 32, 64)
    image[0, 1, 17, 40] = torch.nan

    def position(rows: int, columns: int) -> torch.Tensor:
        return torch.ones(1, rows, columns, 32)

    with torch.no_grad():
        found = layer(image, position)
    learning = layer(image, position)
    assert learning.requires_grad and torch.equal(found.isnan(), learning.isnan())
    torch.testing.assert_close(found, learning, rtol=1e-5, atol=1e-5, equal_nan=True)
    with torch.no_grad():
        monkeypatch.setattr("sam2_ros.model.layers.has_cpu_kernels", lambda dtype: False)
        assert not torch.equal(layer(image, position)[~found.isnan()], found[~found.isnan()])  # else the same code
