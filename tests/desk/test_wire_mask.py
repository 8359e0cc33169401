"""Masks between page and server."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from sam2_ros.desk import wire_mask
from sam2_ros.desk.event import to_json
from sam2_ros.desk.refusal import Refusal


def test_mask_there_and_back() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:] = True
    sent = json.loads(to_json({"mask": wire_mask.to_wire(mask)}))["mask"]
    assert sent == {"height": 4, "width": 5, "counts": [9, 2, 2, 2, 2, 2, 1]}
    assert np.array_equal(wire_mask.mask(sent, (4, 5)), mask)
    assert wire_mask.counts(sent, (4, 5)).tolist() == sent["counts"]


def test_counts_of_a_message() -> None:
    sent = wire_mask.counts_to_wire(2, 2, np.array([0, 4], np.uint32))
    assert sent == {"height": 2, "width": 2, "counts": [0, 4]}
    assert wire_mask.mask(sent, (2, 2)).all()


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "20",
        {},
        {"height": 4, "width": 5},
        {"height": 4, "width": 5, "counts": "20"},
        {"height": 4, "width": 5, "counts": []},
        {"height": 4, "width": 5, "counts": [19]},
        {"height": 4, "width": 5, "counts": [-1, 21]},
        {"height": 4, "width": 5, "counts": [20, 2**64, -(2**64)]},
        {"height": 4, "width": 5, "counts": [19.5, 0.5]},
        {"height": 4, "width": 5, "counts": [float("inf")]},
        {"height": 4, "width": 5, "counts": [[20]]},
        {"height": 4, "width": 5, "counts": [None, 20]},
        {"height": 4, "width": 5, "counts": [10**400]},
        {"height": 5, "width": 4, "counts": [20]},
        {"height": 10**9, "width": 10**9, "counts": [10**18]},
        {"height": "4", "width": 5, "counts": [20]},
        {"counts": [20]},
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_mask(value: Any) -> None:
    with pytest.raises(Refusal):
        wire_mask.mask(value, (4, 5))
