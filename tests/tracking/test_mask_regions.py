import numpy as np
from scipy import ndimage

from sam2_ros.tracking.mask_regions import without_small_holes, without_small_islands

CORNERS = np.ones((3, 3))


def masks() -> list[np.ndarray]:
    random = np.random.default_rng(5)
    return [ndimage.gaussian_filter(random.random((40, 60)), 1.2) > level for level in (0.42, 0.45, 0.47)]


def test_small_holes_are_filled() -> None:
    for mask in masks():
        expected = mask.copy()
        regions, count = ndimage.label(~mask, CORNERS)
        for region in range(1, count + 1):
            if np.count_nonzero(regions == region) < 12:
                expected[regions == region] = True
        assert not np.array_equal(expected, mask)
        assert np.array_equal(without_small_holes(mask, 12), expected)


def test_small_islands_are_removed() -> None:
    for mask in (~mask for mask in masks()):
        expected = mask.copy()
        regions, count = ndimage.label(mask, CORNERS)
        for region in range(1, count + 1):
            if np.count_nonzero(regions == region) < 12:
                expected[regions == region] = False
        assert not np.array_equal(expected, mask)
        assert np.array_equal(without_small_islands(mask, 12), expected)


def test_the_largest_of_small_islands_stays() -> None:
    mask = np.zeros((10, 10), bool)
    mask[1:3, 1:3] = mask[6:9, 6:9] = True
    assert np.array_equal(without_small_islands(mask, 50), mask & (np.arange(10) > 4))


def test_empty_and_full_masks_stay() -> None:
    for mask in (np.zeros((4, 5), bool), np.ones((4, 5), bool)):
        assert np.array_equal(without_small_islands(mask, 50), mask)
    assert np.array_equal(without_small_holes(np.ones((4, 5), bool), 50), np.ones((4, 5), bool))
