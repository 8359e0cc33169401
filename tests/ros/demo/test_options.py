"""The demo's options: prompts of every kind, in their order."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sam2_ros.data.prompt_text import describe
from sam2_ros.ros.demo.options import parser


@pytest.mark.parametrize("words", [("--click", "3"), ("--click", "-3,4"), ("--box", "1,2,3"), ("--mask", "/no.png")])
def test_invalid_prompt_names_its_option(words: tuple[str, str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(words)
    assert words[0] in capsys.readouterr().err


def test_prompts_keep_their_order(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), np.eye(4, dtype=np.uint8))
    click, box = ("--click", "640,360", "100.5,200+110,210-90,190"), ("--box", "10,20,30,40-50,60")
    prompts = parser().parse_args([*click, *box, "--mask", str(tmp_path / "mask.png"), "--click", "1,2"]).prompts
    assert [describe(prompt) for prompt in prompts] == [
        "click 640,360",
        "click 100.5,200 and click 110,210 and negative click 90,190",
        "box 10,20,30,40 and negative click 50,60",
        "mask",
        "click 1,2",
    ]
    np.testing.assert_array_equal(prompts[3].mask, np.eye(4, dtype=bool))
