"""Pixels of the camera and pixels of the network."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from sam2_ros.model.config import CONFIGS
from sam2_ros.tracking.pixels import (
    normalised,
    resize_logits,
    small_holes_on_cpu,
    small_holes_on_gpu,
    to_masks,
    to_network,
    to_points,
)
from sam2_ros.tracking.prompt import Box, Click

SMALL = CONFIGS["default"].at(32, "1:1")


def test_images_are_normalised_with_imagenet_statistics():
    image = np.full((30, 40, 3), (255, 0, 128), dtype=np.uint8)
    pixels = to_network(image, SMALL.at(64), torch.device("cpu"))
    assert pixels.shape == (1, 3, 64, 64)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    torch.testing.assert_close(pixels.mean(dim=(0, 2, 3)), torch.tensor(expected), atol=1e-4, rtol=0)


def test_images_are_normalised_alike_on_all_ways():
    """To the last bit, by PyTorch's operations and channel by channel."""
    image = np.arange(256, dtype=np.uint8).repeat(16 * 3).reshape(64, 64, 3)
    for shape in (64, 32):
        resized = F.interpolate(
            torch.from_numpy(image).permute(2, 0, 1)[None], (shape, shape), mode="bilinear", antialias=True
        )
        assert torch.equal(to_network(image, SMALL.at(shape), torch.device("cpu")), normalised(resized))


def test_images_may_be_read_only_and_flipped(request):
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    expected = to_network(image, SMALL, torch.device("cpu"))
    frozen = image.copy()
    frozen.flags.writeable = False  # like images from a bag
    request.addfinalizer(lambda: torch.set_warn_always(False))
    torch.set_warn_always(True)  # not only the first time in a process
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(to_network(frozen, SMALL, torch.device("cpu")), expected)
    assert torch.equal(to_network(image[:, ::-1].copy()[:, ::-1], SMALL, torch.device("cpu")), expected)


def test_points_scale_with_the_image_boxes_first():
    clicks = (Click(40, 15), Click(0, 0, False))
    points, labels = to_points(Box(10, 20, 30, 40), clicks, (60, 80), (80, 160), torch.device("cpu"))
    torch.testing.assert_close(points[0], torch.tensor([[20, 80 / 3], [80, 80], [80, 20], [0, 0]]))
    assert labels.tolist() == [[2, 3, 1, 0]]


@pytest.mark.parametrize("hole, filled", [(2, True), (3, False)])
def test_small_holes_are_filled_and_large_ones_stay(hole, filled):
    """Eight cells are the limit: 2 x 2 are filled, 3 x 3 are not."""
    logits = torch.full((1, 32, 32), -10.0)
    logits[0, 4:28, 4:28] = 10
    logits[0, 12 : 12 + hole, 12 : 12 + hole] = -10
    (mask,) = to_masks(logits, 96, 96)
    assert mask[36 + 3 * hole // 2, 36 + 3 * hole // 2] == filled
    assert not mask[:9].any() and not mask[-9:].any()


@pytest.mark.parametrize("fill_holes", [True, False])
def test_masks_are_the_resized_logits_above_0(fill_holes):
    logits = torch.randn(3, 14, 26, generator=torch.Generator().manual_seed(1))
    prompted = {1: np.eye(90, 160, dtype=bool)}
    masks = to_masks(logits, 90, 160, prompted=prompted, fill_holes=fill_holes)
    scaled, _ = resize_logits(logits, 90, 160, fill_holes)
    assert np.array_equal(masks[::2], scaled[::2].numpy() > 0) and np.array_equal(masks[1], prompted[1])


def test_non_overlapping_masks():
    """A pixel goes to the mask with the higher logit; a filled hole, to the object in it."""
    logits = torch.full((3, 32, 32), -10.0)
    logits[0, 4:24, 4:24] = 6
    logits[0, 8:10, 8:10] = -10
    logits[1, 8:10, 8:10] = 2  # in the first one's hole
    logits[2, 14:28, 14:28] = 8
    apart = to_masks(logits, 96, 96, non_overlap=True)
    together = to_masks(logits, 96, 96)
    assert np.array_equal(apart.any(axis=0), together.any(axis=0)), "nothing is lost"
    assert apart.sum(axis=0).max() == 1 and together.sum(axis=0).max() == 2
    assert apart[0, 40, 40] and apart[1, 27, 27] and apart[2, 60, 60] and together[0, 27, 27] and together[0, 60, 60]
    assert np.array_equal(to_masks(logits[:1], 96, 96, non_overlap=True)[0], together[0])


@pytest.mark.parametrize("area", [1, 3, 8])
def test_holes_are_small_connected_components(area):
    """Compared with SciPy, for the CPU's and the GPU's implementation."""
    generator = torch.Generator().manual_seed(area)
    for density in (0.1, 0.3, 0.5, 0.7, 0.95):
        outside = torch.rand(3, 23, 31, generator=generator) < density
        expected = np.zeros(outside.shape, bool)
        for cells, holes in zip(outside.numpy(), expected, strict=True):
            components, _ = ndimage.label(cells, np.ones((3, 3)))
            small = np.bincount(components.ravel()) <= area
            small[0] = False
            holes[:] = small[components]
        assert np.array_equal(small_holes_on_cpu(outside, area).numpy(), expected)
        assert np.array_equal(small_holes_on_gpu(outside, area).numpy(), expected)
