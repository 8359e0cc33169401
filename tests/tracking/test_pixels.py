"""Pixels of the camera and pixels of the network."""

import warnings

import numpy as np
import pytest
import torch

from sam2_ros.tracking.pixels import to_masks, to_network, to_points
from sam2_ros.tracking.prompt import Box, Click


def test_images_are_normalised_with_imagenet_statistics():
    image = np.full((30, 40, 3), (255, 0, 128), dtype=np.uint8)
    pixels = to_network(image, 64, torch.device("cpu"))
    assert pixels.shape == (1, 3, 64, 64)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    torch.testing.assert_close(pixels.mean(dim=(0, 2, 3)), torch.tensor(expected), atol=1e-4, rtol=0)


def test_images_may_be_read_only_and_flipped(request):
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    expected = to_network(image, 16, torch.device("cpu"))
    frozen = image.copy()
    frozen.flags.writeable = False  # as those out of a bag
    request.addfinalizer(lambda: torch.set_warn_always(False))
    torch.set_warn_always(True)  # not only the first time in a process
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(to_network(frozen, 16, torch.device("cpu")), expected)
    assert torch.equal(to_network(image[:, ::-1].copy()[:, ::-1], 16, torch.device("cpu")), expected)


def test_points_scale_with_the_image_boxes_first():
    clicks = (Click(40, 15), Click(0, 0, False))
    points, labels = to_points(Box(10, 20, 30, 40), clicks, 60, 80, 160, torch.device("cpu"))
    torch.testing.assert_close(points[0], torch.tensor([[20, 160 / 3], [80, 160], [80, 40], [0, 0]]))
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
