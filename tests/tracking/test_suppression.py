import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_ros.tracking.suppression import suppress


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union else 0.0


@given(st.integers(0, 40), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_equals_one_by_one(number: int, seed: int, max_iou: float) -> None:
    random = np.random.default_rng(seed)
    corners = random.integers(0, 20, (number, 2, 2))
    boxes = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
    scores = random.integers(0, 5, number) / 4
    expected: list[int] = []
    for i in sorted(range(number), key=lambda i: -scores[i]):
        if all(iou(boxes[i], boxes[j]) <= max_iou for j in expected):
            expected.append(i)
    assert suppress(boxes, scores, max_iou).tolist() == expected


@pytest.mark.parametrize("max_iou", [0.0, 0.7])
def test_boxes_without_area_stay(max_iou: float) -> None:
    boxes = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [2, 2, 2, 9]])
    assert suppress(boxes, np.ones(3), max_iou).tolist() == [0, 1, 2]
