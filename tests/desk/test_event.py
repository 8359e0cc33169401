"""Events as JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sam2_ros.desk.event import to_json


def test_numpy_becomes_plain() -> None:
    event = {"type": "a", "counts": np.array([1, 2], np.uint32), "iou": np.float32(0.5), "present": np.bool_(True)}
    assert json.loads(to_json(event)) == {"type": "a", "counts": [1, 2], "iou": 0.5, "present": True}


def test_no_number_becomes_null() -> None:
    event = {
        "type": "a",
        "iou": math.nan,
        "list": [np.float32(math.inf), {"x": -math.inf}],
        "rest": np.array([math.nan]),
    }
    assert to_json(event) == '{"type":"a","iou":null,"list":[null,{"x":null}],"rest":[null]}'


def test_any_text_is_utf8() -> None:
    text = "<b>\ud800\u2028ü\0"
    encoded = to_json({"type": "a", "text": text})
    assert json.loads(encoded.encode())["text"] == text


def test_other_values_are_errors() -> None:
    with pytest.raises(TypeError, match="object cannot be sent"):
        to_json({"type": "a", "value": object()})
