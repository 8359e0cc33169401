"""Pictures of a run."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_ros.recordings.outputs.pictures import fitted


@pytest.mark.parametrize(
    ("shape", "size", "filled"),
    [
        ((40, 60), (40, 60), np.s_[:, :]),
        ((20, 30), (40, 60), np.s_[:, :]),
        ((80, 60), (40, 60), np.s_[:, 15:45]),
        ((10, 60), (40, 60), np.s_[15:25, :]),
    ],
)
def test_picture_is_as_large_as_possible_in_the_middle(
    shape: tuple[int, int], size: tuple[int, int], filled: tuple[slice, slice]
) -> None:
    whole = fitted(np.full((*shape, 3), 200, np.uint8), size)
    truth = np.zeros((*size, 3), np.uint8)
    truth[filled] = 200
    np.testing.assert_array_equal(whole, truth)
