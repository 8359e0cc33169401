"""Prompts from the page."""

from __future__ import annotations

from typing import Any

from sam2_ros.desk import requests, wire_mask
from sam2_ros.desk.refusal import Refusal
from sam2_ros.tracking.prompt import MAX_CLICKS, MAX_LABEL, MAX_OBJECT_ID, Box, Click, Prompt, PromptError


def prompt(value: Any, size: tuple[int, int], may_name: bool = False) -> Prompt:
    """The prompt in {object_id, label, clicks, box, mask, replace}; what is left out is as in `Prompt`.

    A click is {x, y, positive}, a box [x, y, width, height], a mask {height, width, counts}.

    Args:
        size: height and width of the image.
        may_name: a label alone is a prompt, too: the new label of an object.

    Returns:
        The prompt, checked for an image of this size.

    Raises:
        Refusal: it cannot be applied to any image of this size.
    """
    if not isinstance(value, dict):
        raise Refusal("a prompt is an object with clicks, a box or a mask")
    drawn = value.get("mask")
    try:
        return Prompt(
            requests.whole(value, "object_id", 0, MAX_OBJECT_ID, default=0),
            clicks=_clicks(value.get("clicks")),
            box=_box(value.get("box")),
            mask=None if drawn is None else wire_mask.mask(drawn, size),
            label=requests.text(value, "label", MAX_LABEL, default=""),
            replace=requests.flag(value, "replace", default=False),
        ).checked(*size, may_name=may_name)
    except PromptError as error:
        raise Refusal(str(error)) from None


def _clicks(value: Any) -> list[Click]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(click, dict) for click in value):
        raise Refusal("clicks are a list of objects with x, y and positive")
    if len(value) > MAX_CLICKS:
        raise Refusal(f"{len(value)} clicks on one frame; at most {MAX_CLICKS} are used")
    return [
        Click(_coordinate(click, "x"), _coordinate(click, "y"), requests.flag(click, "positive", default=True))
        for click in value
    ]


def _coordinate(click: dict[str, Any], name: str) -> float:
    return requests.number(click, name, -1e6, 1e6)


def _box(value: Any) -> Box | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 4:
        raise Refusal("a box is [x, y, width, height] in pixels")
    return Box(*(requests.number({"a side of the box": side}, "a side of the box", -1e6, 1e6) for side in value))
