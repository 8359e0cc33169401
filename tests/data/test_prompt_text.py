"""Prompts as text."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sam2_ros.data.prompt_text import describe, parse_timed
from sam2_ros.data.timed_prompt import Moment


@pytest.mark.parametrize(
    ("kind", "text", "described", "moment"),
    [
        ("click", "640,360", "click 640,360", None),
        ("click", "640,360@0", "click 640,360", Moment(0, "frame")),
        ("click", "640.5,360+650,380-700,400@120", "click 640.5,360 and click 650,380 and negative click 700,400",
         Moment(120, "frame")),
        ("box", "10,20,30,40-5,6@4.5s", "box 10,20,30,40 and negative click 5,6", Moment(4.5, "s")),
        ("box", "10,20,30,40@4s", "box 10,20,30,40", Moment(4, "s")),
    ],
)  # fmt: skip
def test_prompt_with_a_moment(kind: str, text: str, described: str, moment: Moment | None) -> None:
    timed = parse_timed(kind, text)
    assert (describe(timed.prompt), timed.moment, timed.name) == (described, moment, f"--{kind} {text}")


def test_mask_file_may_have_an_at_sign_in_its_name(tmp_path: Path) -> None:
    file = tmp_path / "cup@2x.png"
    cv2.imwrite(str(file), np.eye(4, dtype=np.uint8))
    assert parse_timed("mask", str(file)).moment is None
    timed = parse_timed("mask", f"{file}@1.5s")
    assert timed.moment == Moment(1.5, "s")
    np.testing.assert_array_equal(timed.prompt.mask, np.eye(4, dtype=bool))


@pytest.mark.parametrize("text", ["1", "1,2@", "1,2@x", "1,2@4.5", "1,2@-3", "1,2@1.2.3s", "1,2@3@4"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no click|is neither the number of an image"):
        parse_timed("click", text)
