"""Prompts from the page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2_ros.desk import wire_mask, wire_prompt
from sam2_ros.desk.refusal import Refusal
from sam2_ros.tracking.prompt import Box, Click

SIZE = (48, 64)


def test_clicks() -> None:
    sent = {"object_id": 0, "label": "<b>car</b>", "clicks": [{"x": 3, "y": 4.5}, {"x": 0, "y": 0, "positive": False}]}
    prompt = wire_prompt.prompt(sent, SIZE)
    assert prompt.object_id == 0 and prompt.label == "<b>car</b>" and not prompt.replace
    assert list(prompt.clicks) == [Click(3, 4.5, True), Click(0, 0, False)]
    assert prompt.box is None and prompt.mask is None


def test_box_is_cut_to_the_image() -> None:
    prompt = wire_prompt.prompt({"object_id": 3, "clicks": [], "box": [60, -10, 20, 30], "replace": True}, SIZE)
    assert (prompt.object_id, prompt.box, prompt.replace) == (3, Box(60, 0, 4, 20), True)


def test_mask() -> None:
    mask = np.zeros(SIZE, bool)
    mask[3:9, 5:20] = True
    prompt = wire_prompt.prompt({"mask": wire_mask.to_wire(mask), "label": None, "box": None}, SIZE)
    assert prompt.mask is not None and np.array_equal(prompt.mask, mask)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"clicks": []},
        {"clicks": [{"x": 3}]},
        {"clicks": [[3, 4]]},
        {"clicks": {"x": 3, "y": 4}},
        {"clicks": [{"x": "3", "y": 4}]},
        {"clicks": [{"x": 64, "y": 4}]},
        {"clicks": [{"x": -1, "y": 4}]},
        {"clicks": [{"x": 1e999, "y": 4}]},
        {"clicks": [{"x": 10**400, "y": 4}]},
        {"clicks": [{"x": 3, "y": 4, "positive": 1}]},
        {"clicks": [{"x": 3, "y": 4}] * 65},
        {"box": [1, 2, 3]},
        {"box": [1, 2, 3, "4"]},
        {"box": [1, 2, 0, 0]},
        {"box": [100, 100, 5, 5]},
        {"box": {"x": 1}},
        {"box": [1, 2, 3, 1e999]},
        {"mask": {"height": 48, "width": 64, "counts": [48 * 64]}},
        {"mask": {"height": 48, "width": 64, "counts": [1]}},
        {"mask": "all"},
        {"clicks": [{"x": 3, "y": 4}], "object_id": -1},
        {"clicks": [{"x": 3, "y": 4}], "object_id": 2**16},
        {"clicks": [{"x": 3, "y": 4}], "object_id": 1.5},
        {"clicks": [{"x": 3, "y": 4}], "label": "x" * 257},
        {"clicks": [{"x": 3, "y": 4}], "label": "a\0b"},
        {"clicks": [{"x": 3, "y": 4}], "label": 7},
        {"clicks": [{"x": 3, "y": 4}], "replace": "yes"},
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_prompt(value: Any) -> None:
    with pytest.raises(Refusal):
        wire_prompt.prompt(value, SIZE)
