"""The user's own video: errors before the graph starts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from block_video import write_block_video
from rich.console import Console

from sam2_ros.ros.demo.__main__ import run
from sam2_ros.ros.demo.error import DemoError
from sam2_ros.ros.demo.options import parser


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_block_video(tmp_path / "clip.mp4")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--video", "VIDEO"), "160x90"),  # without a click it asks for one
        (("--video", "VIDEO", "--click", "30,40", "300,20"), r"click 300,20: .*outside"),
        (("--video", "VIDEO", "--box", "200,20,10,10"), "outside"),
        (("--video", "VIDEO", "--mask", "MASK"), "mask of 4 x 4 pixels"),
        (("--video", "VIDEO", "--click", "30,40", "--label", "cup", "hand"), "2 labels for 1 objects"),
        (("--video", "VIDEO", "--click", "30,40", "--images", "/left"), "a topic of a bag"),
        (("--video", "no.mp4", "--click", "1,1"), r"no\.mp4"),
        (("--click", "1,1"), "--video"),
    ],
)
def test_invalid_input_fails_before_the_graph_starts(tmp_path: Path, video: Path, words, reason: str) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((4, 4), 255, np.uint8))
    files = {"VIDEO": str(video), "MASK": str(tmp_path / "mask.png")}
    with pytest.raises((DemoError, FileNotFoundError), match=reason):
        run(parser().parse_args([*(files.get(word, word) for word in words), "--out", str(tmp_path)]), Console())
    assert not (tmp_path / "logs").exists()
