"""Prompts for a recording in a JSON file: a list of prompts, each for one object on one image.

    [
      {"frame": 0, "object_id": 1, "label": "cup", "clicks": [[640, 360], [700, 380, false]]},
      {"time": 4.5, "label": "ball", "box": [100, 80, 60, 40]},
      {"stamp": 1700000004500000000, "object_id": 1, "clicks": [{"x": 650, "y": 350, "positive": true}]},
      {"frame": 30, "mask": "masks/plate.png"},
      {"frame": 30, "mask": {"size": [480, 640], "counts": [...]}, "object_id": 1, "replace": true}
    ]

When: `frame`, the number of an image from 0; or `time`, seconds from the first image; or `stamp`, the image's, ns.
Without any of them: the first image. What: `clicks` (column, row, and whether it is on the object), `box` (x, y, width,
height), `mask` (an image file, whose path begins at the JSON's folder, or COCO run lengths), or several of them. Whose:
`object_id`; prompts with the same one are of the same object, which the later ones correct (or, with `replace`, start
again). Without it: a new object.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import numpy as np

from sam2_ros.data import coco_rle
from sam2_ros.data.mask_file import read_mask
from sam2_ros.data.timed_prompt import Moment, TimedPrompt
from sam2_ros.tracking.prompt import MAX_OBJECT_ID, Box, Click, Prompt

_WHEN = ("frame", "time", "stamp")
_WHAT = ("clicks", "box", "mask")
_KEYS = (*_WHEN, "object_id", "label", *_WHAT, "replace")


def read_prompts(file: str | Path) -> list[TimedPrompt]:
    """The prompts in a file, in its order.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON, or an entry is invalid; the message names the entry.
    """
    file = Path(file)
    try:
        entries = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: cannot be read as JSON: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(f'{file}: expected a list of prompts, [{{"frame": 0, "clicks": [[X, Y]]}}, ...]')
    prompts = []
    for number, entry in enumerate(entries, start=1):
        name = f"{file}, prompt {number}"
        try:
            prompts.append(_prompt(entry, file.parent, name))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return prompts


def _prompt(entry: Any, folder: Path, name: str) -> TimedPrompt:
    if not isinstance(entry, dict):
        raise ValueError('is not a JSON object, {"frame": 0, "clicks": [[X, Y]]} for instance')
    for key in entry:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_KEYS)}"
            raise ValueError(f"{key!r} is not known; {hint}")
    if not any(key in entry for key in _WHAT):
        raise ValueError(f"nothing is prompted; give {', '.join(_WHAT[:-1])} or {_WHAT[-1]}")
    label, replace = entry.get("label", ""), entry.get("replace", False)
    if not isinstance(label, str):
        raise ValueError(f"label is {_text(label)}; expected a text")
    if not isinstance(replace, bool):
        raise ValueError(f"replace is {_text(replace)}; expected true or false")
    prompt = Prompt(
        object_id=_object_id(entry),
        clicks=_clicks(entry.get("clicks", [])),
        box=_box(entry["box"]) if "box" in entry else None,
        mask=_mask(entry["mask"], folder) if "mask" in entry else None,
        label=label,
        replace=replace,
    )
    return TimedPrompt(prompt, _moment(entry), name)


def _moment(entry: dict[str, Any]) -> Moment | None:
    given = [key for key in _WHEN if key in entry]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are given; one of them says when")
    if not given:
        return None
    key, value = given[0], entry[given[0]]
    if not _is_number(value) or (key != "time" and not isinstance(value, int)):
        expected = {"frame": "the number of an image, from 0", "time": "seconds from the start", "stamp": "whole ns"}
        raise ValueError(f"{key} is {_text(value)}; expected {expected[key]}")
    return Moment(value, {"frame": "frame", "time": "s", "stamp": "ns"}[key])  # type: ignore[arg-type]


def _object_id(entry: dict[str, Any]) -> int:
    number = entry.get("object_id", 0)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_OBJECT_ID:
        raise ValueError(f"object_id is {_text(number)}; expected 1 to {MAX_OBJECT_ID}, or 0 for a new object")
    return number


def _clicks(value: Any) -> tuple[Click, ...]:
    if not isinstance(value, list):
        raise ValueError(f"clicks are {_text(value)}; expected a list, [[X, Y], [X, Y, false]]")
    return tuple(map(_click, value))


def _click(value: Any) -> Click:
    if isinstance(value, dict) and {"x", "y"} <= value.keys() <= {"x", "y", "positive"}:
        value = [value["x"], value["y"], value.get("positive", True)]
    if isinstance(value, list) and len(value) in (2, 3) and all(map(_is_number, value[:2])):
        positive = value[2] if len(value) == 3 else True
        if isinstance(positive, bool):
            return Click(value[0], value[1], positive)
    raise ValueError(
        f'a click is {_text(value)}; expected [X, Y], [X, Y, false] or {{"x": X, "y": Y, "positive": false}}'
    )


def _box(value: Any) -> Box:
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        raise ValueError(f"box is {_text(value)}; expected [X, Y, WIDTH, HEIGHT]")
    return Box(*value)


def _mask(value: Any, folder: Path) -> np.ndarray:
    if isinstance(value, str):
        return read_mask(folder / value)
    size = coco_rle.whole(value.get("size")) if isinstance(value, dict) else None
    if size is None or len(size) != 2 or min(size) < 1:
        raise ValueError(
            f'mask is {_text(value)}; expected an image file, or {{"size": [HEIGHT, WIDTH], "counts": ...}}'
        )
    return coco_rle.decode(value, (size[0], size[1]))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
