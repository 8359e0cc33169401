"""Prompts in JSON files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sam2_ros.data import coco_rle, prompt_file
from sam2_ros.data.prompt_file import read_prompts
from sam2_ros.data.timed_prompt import Moment
from sam2_ros.tracking.prompt import Box, Click

MASK = np.eye(4, 6, dtype=bool)


def write(folder: Path, entries: Any) -> Path:
    file = folder / "prompts.json"
    file.write_text(json.dumps(entries))
    return file


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    assert prompt_file.__doc__ is not None
    example = re.search(r"\[\n.*?\n    \]\n", prompt_file.__doc__, re.DOTALL)
    assert example is not None
    rle = coco_rle.encode(MASK)["counts"]
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks/plate.png"), 255 * MASK.astype(np.uint8))
    entries = json.loads(example[0].replace("[480, 640]", "[4, 6]").replace("[...]", json.dumps(rle)))
    prompts = read_prompts(write(tmp_path, entries))
    stamp = 1_700_000_004_500_000_000  # more digits than a float has
    assert [one.moment for one in prompts] == [
        Moment(0),
        Moment(4.5, "s"),
        Moment(stamp, "ns"),
        Moment(30),
        Moment(30),
    ]
    assert prompts[2].moment is not None and prompts[2].moment.value == stamp
    assert [one.prompt.object_id for one in prompts] == [1, 0, 1, 0, 1]
    assert [one.prompt.label for one in prompts] == ["cup", "ball", "", "", ""]
    assert [one.prompt.replace for one in prompts] == [False, False, False, False, True]
    assert prompts[0].prompt.clicks == (Click(640, 360, True), Click(700, 380, False))
    assert prompts[2].prompt.clicks == (Click(650, 350, True),)
    assert prompts[1].prompt.box == Box(100, 80, 60, 40)
    for prompt in prompts[3:]:
        np.testing.assert_array_equal(prompt.prompt.mask, MASK)
    assert prompts[1].name.endswith("prompts.json, prompt 2")


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs/tracking-recordings.md"
    (example,) = re.findall(r"^```json\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks/plate.png"), 255 * MASK.astype(np.uint8))
    (tmp_path / "prompts.json").write_text(example)
    prompts = read_prompts(tmp_path / "prompts.json")
    assert [one.prompt.object_id for one in prompts] == [1, 0, 1, 0]


def test_without_a_moment_it_is_the_first_image(tmp_path: Path) -> None:
    (prompt,) = read_prompts(write(tmp_path, [{"clicks": [[1, 2]]}]))
    assert prompt.moment is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, "is not a JSON object"),
        ({}, "nothing is prompted"),
        ({"click": [[1, 2]]}, "'click' is not known; did you mean 'clicks'?"),
        ({"xyz": 1, "clicks": [[1, 2]]}, "'xyz' is not known; there are frame, time"),
        ({"frame": 1, "time": 2, "clicks": [[1, 2]]}, "frame and time are given"),
        ({"frame": 1.5, "clicks": [[1, 2]]}, "frame is 1.5"),
        ({"frame": True, "clicks": [[1, 2]]}, "frame is true"),
        ({"time": "4.5s", "clicks": [[1, 2]]}, 'time is "4.5s"; expected seconds'),
        ({"clicks": [1, 2]}, "a click is 1; expected [X, Y]"),
        ({"clicks": [[1, 2, 3]]}, "a click is [1, 2, 3]"),
        ({"clicks": [{"x": 1, "z": 2}]}, "a click is"),
        ({"clicks": "1,2"}, "clicks are"),
        ({"box": [1, 2, 3]}, "box is [1, 2, 3]"),
        ({"mask": "none.png"}, "cannot be read as an image"),
        ({"mask": {"counts": [3, 1]}}, '"size": [HEIGHT, WIDTH]'),
        ({"mask": {"size": [2, 2], "counts": [3, 2]}}, "do not add up to 2 x 2"),
        ({"mask": [[0, 1]]}, "expected an image file"),
        ({"clicks": [[1, 2]], "object_id": -1}, "object_id is -1"),
        ({"clicks": [[1, 2]], "object_id": 70000}, "object_id is 70000"),
        ({"clicks": [[1, 2]], "label": 3}, "label is 3"),
        ({"clicks": [[1, 2]], "replace": 1}, "replace is 1"),
    ],
)
def test_error_names_the_entry(tmp_path: Path, entry: Any, message: str) -> None:
    file = write(tmp_path, [{"clicks": [[1, 2]]}, entry])
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_prompts(file)
    assert str(caught.value).startswith(f"{file}, prompt 2: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"clicks": [[1, 2]]}', "[" * 100_000])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prompts.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"prompts\.json: (cannot be read as JSON|expected a list of prompts)"):
        read_prompts(file)
