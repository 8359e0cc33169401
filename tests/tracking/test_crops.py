import numpy as np
import pytest

from sam2_ros.tracking.crops import Crop, crops_of, grid


@pytest.mark.parametrize(("height", "width"), [(480, 854), (100, 100), (7, 5)])
@pytest.mark.parametrize("overlap", [0.0, 512 / 1500, 0.9])
def test_each_layer_covers_the_image(height: int, width: int, overlap: float) -> None:
    crops = crops_of(height, width, 2, overlap)
    if width > 5:
        assert [crop.layer for crop in crops] == [0] + 4 * [1] + 16 * [2]
    assert crops[0] == Crop(0, 0, width, height)
    for layer in (1, 2):
        covered = np.zeros((height, width), int)
        for crop in crops:
            assert 0 <= crop.left < crop.right <= width and 0 <= crop.top < crop.bottom <= height
            if crop.layer == layer:
                crop.of(covered)[:] += 1
        assert covered.min() >= 1


def test_neighbours_overlap() -> None:
    _, first, below, right, _ = crops_of(300, 600, 1, 1 / 3)
    assert first.right - right.left == first.bottom - below.top == 100


def test_boxes_that_end_at_a_crops_edge_are_cut_but_not_at_the_images() -> None:
    crop = Crop(100, 0, 200, 100)
    boxes = np.array([[40, 40, 60, 60], [5, 40, 60, 60], [40, 3, 60, 60], [40, 40, 95, 60], [40, 40, 60, 95]])
    assert crop.cuts(boxes, 300, 300, 20).tolist() == [False, True, False, True, True]
    assert not Crop(0, 0, 300, 300).cuts(boxes, 300, 300, 20).any()


def test_grid_points_are_the_centres_of_cells() -> None:
    assert grid(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert grid(1).tolist() == [[0.5, 0.5]]
