"""Cached position encodings and merged convolutions."""

import torch
from torch import nn

from sam2_ros.acceleration.cached import SIZES, CachedHiera, CachedRandomFourier, CachedSAM2, merged
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.hiera import Hiera
from sam2_ros.model.position import RandomFourier
from sam2_ros.model.sam2 import SAM2


def test_positions_are_cached_by_size():
    grid = twin_of(RandomFourier(16), {RandomFourier: CachedRandomFourier}, torch.float32).grid
    first = grid(3, 4)
    assert grid(3, 4) is first and grid(4, 3).shape == (16, 4, 3)
    for side in range(10, 10 + SIZES):
        grid(side, side)
    assert grid(3, 4) is not first and torch.equal(grid(3, 4), first)  # it was dropped from the cache


def test_position_embedding_equals_the_plain_one(model):
    plain = model.image_encoder.trunk
    twin = twin_of(plain, {Hiera: CachedHiera}, torch.float32)
    assert torch.equal(twin.position(8, 12), plain.position(8, 12)) and twin.position(8, 12).is_contiguous()


def test_consecutive_convolutions_are_merged():
    first, second, x = nn.Conv2d(6, 20, 1), nn.Conv2d(20, 3, 1), torch.randn(2, 6, 5, 7)
    weight, bias = merged([first, second])
    result = nn.functional.linear(x.movedim(1, -1), weight, bias).movedim(-1, 1)
    torch.testing.assert_close(result, second(first(x)), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_features_equal_the_plain_ones(model, image):
    twin = twin_of(model, {SAM2: CachedSAM2}, torch.float32)
    for ours, plain in zip(
        vars(twin.encode_image(image)).values(), vars(model.encode_image(image)).values(), strict=True
    ):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
