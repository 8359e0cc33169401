"""One-to-one association of boxes."""

from __future__ import annotations

import numpy as np

from sam2_ros.detection.association import assign
from sam2_ros.tracking.boxes import grown, overlaps
from sam2_ros.tracking.prompt import Box


def test_overlaps_of_all_pairs() -> None:
    boxes = [Box(0, 0, 10, 10), Box(5, 0, 10, 10), Box(100, 100, 4, 4)]
    assert np.allclose(overlaps(boxes, boxes[:2]), [[1, 1 / 3], [1 / 3, 1], [0, 0]])
    assert overlaps([], boxes).shape == (0, 3) and overlaps(boxes, []).shape == (3, 0)
    nothing = Box(5, 5, 0, 0)
    assert overlaps([nothing], [nothing, boxes[0]]).tolist() == [[0, 0]]


def test_grown_box_keeps_its_centre() -> None:
    assert grown(Box(10, 20, 10, 4), 0.5) == Box(5, 18, 20, 8)


def test_assignment_has_the_largest_total_gain() -> None:
    """The best pair of the first row is not the best for all."""
    assert assign(np.array([[0.9, 0.8], [0.8, 0.1]]), 0.05) == [(0, 1), (1, 0)]


def test_pairs_below_the_least_gain_stay_apart() -> None:
    assert assign(np.array([[0.9, 0.0], [0.0, 0.09]]), 0.1) == [(0, 0)]
    assert assign(np.zeros((3, 2)), 0.1) == [] and assign(np.zeros((0, 2)), 0.1) == []
