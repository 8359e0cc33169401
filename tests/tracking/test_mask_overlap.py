"""Which masks are alike."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_ros.tracking.mask_overlap import mask_iou, object_with
from sam2_ros.tracking.masklet import Masklet


def rows(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((100, 4), bool)
    mask[start:stop] = True
    return mask


def masklet(object_id: int, mask: np.ndarray) -> Masklet:
    return Masklet(object_id, "", bool(mask.any()), 1.0, 1.0, mask)


def test_mask_iou() -> None:
    assert mask_iou(rows(0, 30), rows(10, 40)) == pytest.approx(20 / 40)
    assert mask_iou(rows(0, 30), rows(40, 50)) == 0
    assert mask_iou(rows(0, 0), rows(0, 0)) == 0


def test_the_most_similar_object_is_found() -> None:
    shown = [masklet(3, rows(0, 80)), masklet(5, rows(0, 95)), masklet(8, rows(0, 99)), masklet(9, rows(0, 0))]
    assert object_with(rows(0, 96), shown) == 5
    assert object_with(rows(0, 78), shown) == 3
    assert object_with(rows(0, 56), shown) == 0, "70 % of object 3, and no more"
    assert object_with(rows(0, 57), shown) == 3
    assert object_with(rows(20, 80), shown) == object_with(rows(0, 60), shown) == 3
    assert object_with(rows(0, 60), shown, min_iou=0.9) == 0
    assert object_with(rows(0, 0), shown) == object_with(rows(0, 9), []) == 0
