"""Requests from anybody."""

from __future__ import annotations

from typing import Any

import pytest

from sam2_ros.desk import requests
from sam2_ros.desk.refusal import Refusal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "null",
        "[]",
        '"text"',
        "{}",
        '{"type": 1}',
        '{"type": "a", "x": NaN}',
        '{"type": "a", "x": Infinity}',
        '{"type": "a", "x": -Infinity}',
        '{"type": "a"} {"type": "b"}',
        '{"type": "a", "x": ' + "9" * 10_000 + "}",
        "[" * 1_000_000,
        '{"a":' * 100_000,
        '{"type": "a", "x": ' + "[" * 20 + "]" * 20 + "}",
        '{"type": "a", "x": ' + '{"x":' * 20 + "1" + "}" * 20 + "}",
    ],
    ids=lambda text: text[:24],
)
def test_what_is_no_request(text: str) -> None:
    with pytest.raises(Refusal):
        requests.parse(text)


def test_request() -> None:
    text = '{"type": "prompt", "id": 3, "prompt": {"clicks": [{"x": 1, "y": 2}], "mask": {"counts": [1, 2]}}}'
    request = requests.parse(text)
    assert request["type"] == "prompt" and requests.request_id(request) == 3


@pytest.mark.parametrize("value", [None, -1, 1.5, 1.0, "1", True, [], 2**60])
def test_what_is_no_id(value: Any) -> None:
    assert requests.request_id({"type": "a", "id": value}) is None


@pytest.mark.parametrize("value", [None, 1, [], {}, "x" * 11, "a\0", "\ud800"])
def test_what_is_no_text(value: Any) -> None:
    with pytest.raises(Refusal, match="label"):
        requests.text({"label": value}, "label", 10)


def test_text_with_markup_is_text() -> None:
    assert requests.text({"label": "<img src=x onerror=alert(1)>"}, "label") == "<img src=x onerror=alert(1)>"
    assert requests.text({}, "label", default="") == ""


@pytest.mark.parametrize(
    "value", [None, -1, 10, 1.5, "x", "1.0", " 1", "١", True, [], float("nan"), float("inf"), 10**400]
)
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(Refusal, match="frame must be a whole number from 0 to 9"):
        requests.whole({"frame": value}, "frame", 0, 9)


def test_whole_numbers() -> None:
    assert requests.whole({"frame": 3}, "frame", 0, 9) == 3
    assert requests.whole({"frame": 3.0}, "frame", 0, 9) == 3
    assert requests.whole({"stamp": "1788000000123456789"}, "stamp", 0, 2**63 - 1) == 1788000000123456789
    assert requests.whole({"frame": None}, "frame", 1, 9, default=0) == 0


@pytest.mark.parametrize("value", [None, "1", True, -0.1, 1.1, float("nan"), float("inf"), 10**400])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(Refusal, match="seconds must be a number from 0 to 1"):
        requests.number({"seconds": value}, "seconds", 0, 1)


def test_numbers_flags_choices_lists() -> None:
    assert requests.number({"seconds": 1}, "seconds", 0, 1) == 1.0
    assert requests.flag({"track": False}, "track") is False
    assert requests.flag({}, "track", default=True) is True
    assert requests.choice({"verdict": "no object"}, "verdict", ("satisfactory", "no object")) == "no object"
    assert requests.texts({"cameras": ["a", "b"]}, "cameras", 2) == ["a", "b"]
    assert requests.mapping({"prompt": {"a": 1}}, "prompt") == {"a": 1}


@pytest.mark.parametrize(
    "check",
    [
        lambda: requests.flag({"track": 1}, "track"),
        lambda: requests.flag({}, "track"),
        lambda: requests.choice({"verdict": "maybe"}, "verdict", ("yes", "no")),
        lambda: requests.choice({"verdict": ["yes"]}, "verdict", ("yes", "no")),
        lambda: requests.texts({"cameras": "ab"}, "cameras", 2),
        lambda: requests.texts({"cameras": ["a", "b", "c"]}, "cameras", 2),
        lambda: requests.texts({"cameras": ["a", 1]}, "cameras", 2),
        lambda: requests.mapping({"prompt": []}, "prompt"),
    ],
)
def test_what_is_none_of_them(check: Any) -> None:
    with pytest.raises(Refusal):
        check()
