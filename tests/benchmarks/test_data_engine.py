"""The loop of the data engine with a tiny budget: that it runs through, and that its report is right."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from data_engine import FIRST_UNSEEN, main

from sam2_ros.annotation.annotated_object import VERIFIED
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.timings import timings
from sam2_ros.checkpoints.load import load_sam2


@pytest.mark.slow
def test_loop_from_bags_to_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = "--scenes table --bags 2 --unseen 1 --frames 5 --objects 1 --steps 2 --size 64"
    monkeypatch.setattr(sys, "argv", ["data_engine.py", str(tmp_path), *small.split()])
    main()
    printed = capsys.readouterr().out

    verified = edited = 0
    for folder in (tmp_path / "projects").iterdir():
        with Project(folder) as project:
            verified += len(project.objects(VERIFIED))
            edited += timings(project)[3].edited
    assert verified == 2, "a mask that clicks cannot get right is drawn, so that all are satisfactory"
    assert edited >= 2
    report = json.loads((tmp_path / "tuned/report.json").read_text())
    assert len(report["recordings"]) == 1 and report["settings"]["training"].startswith("2 steps")
    load_sam2(None, tmp_path / "tuned/weights.safetensors")

    unseen = json.loads((tmp_path / "unseen-scores/scores.json").read_text())
    assert list(unseen["recordings"]) == [f"table-{FIRST_UNSEEN}"]
    for when in ("before", "after"):
        assert f"{100 * unseen[when]['j_and_f']:.1f}" in printed
