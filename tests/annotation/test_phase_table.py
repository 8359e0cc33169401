"""The command that prints the table of phases."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_clips import make_clip
from small_network import default_network

from sam2_ros.annotation.annotated_mask import PROMPTED, AnnotatedMask
from sam2_ros.annotation.phase_table import arguments, main
from sam2_ros.annotation.project import Project
from sam2_ros.checkpoints.save import save_weights
from sam2_ros.data import davis
from sam2_ros.recordings.clip_recording import ClipRecording
from sam2_ros.tracking.prompt import Click, Prompt


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["phase_table", *map(str, words)])
    return main()


def test_help_is_one_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert len(arguments().format_help().splitlines()) <= 45


@pytest.mark.slow
def test_table_of_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    davis.write([make_clip("walk", 9, (1, 2)), make_clip("run", 5, (1,))], tmp_path / "clips")
    save_weights(default_network(), tmp_path / "random.safetensors")
    (tmp_path / "clips/JPEGImages/480p/run/00003.jpg").write_bytes(b"damaged")
    model = "--checkpoint", tmp_path / "random.safetensors", "--size", 64, "--device", "cpu"
    person = "--clicks", 2, "--look", 1, "--click", 2, 0.5, "--draw", 30
    out = tmp_path / "out"
    assert run(monkeypatch, "--davis", tmp_path / "clips", *model, *person, "--out", out) == 0
    printed = capsys.readouterr().out
    assert (
        "1: clicks on every frame" in printed
        and "paper, phase 3" in printed
        and "run                  skipped" in printed
    )
    content = json.loads((out / "phases.json").read_text())
    assert list(content["phases"]) == ["1", "2", "3"] and list(content["clips"]) == ["walk"]
    first = content["phases"]["1"]
    assert first["objects"] == 2 and first["frames"] == first["edited"] == 6
    counts = first["clicked"], first["clicks"], first["drawn"]
    assert first["seconds"] == pytest.approx(6 * 1 + counts[0] * 2 + (counts[1] - counts[0]) * 0.5 + counts[2] * 30)
    assert f"| 1: clicks on every frame | {first['seconds'] / 6:.1f} | 100.0 |" in (out / "phases.md").read_text()
    assert len(content["objects"]) == 6 and len(content["objects"][0]["frames"]) == 3
    assert cv2.imread(str(out / "phases.png")) is not None


def test_table_of_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [tmp_path / name for name in ("monday", "tuesday")]
    for folder in folders:
        with Project.create(folder, ClipRecording(make_clip(frames=9))) as project:
            one = project.add_object("ann")
            for frame, seconds in ((0, 6.0), (8, 3.0)):
                mask = replace(AnnotatedMask.drawn(one, frame, np.ones((48, 64), bool), 3), origin=PROMPTED)
                project.put_mask("ann", mask, Prompt(one, clicks=[Click(9, 9)] * 2), seconds=seconds)
    assert run(monkeypatch, "--projects", *folders, "--out", tmp_path / "out") == 0
    row = next(
        line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("3: clicks with memory")
    )
    assert row.split()[4:] == ["3.0", "66.7", "0.0", "2.00", "2", "6"]
    assert json.loads((tmp_path / "out/phases.json").read_text())["phases"]["3"]["seconds"] == 18


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--suite", "--touch", "0.9"), "touched below an IoU of 0.9"),
        (("--suite", "--only", "dancing"), "no clip's name begins with dancing"),
        (("--projects", "nowhere"), "nowhere is no annotation project"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple, said: str
) -> None:
    assert run(monkeypatch, *words, "--out", tmp_path / "out") == 2
    printed = capsys.readouterr().out
    assert "error:" in printed and said in printed and len(printed.splitlines()) == 1
    assert not (tmp_path / "out").exists()
