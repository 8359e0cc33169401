"""The whole comparison, of our side alone at the smallest size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks/peers.py"


@pytest.mark.slow
def test_tables_and_plots(tmp_path: Path) -> None:
    task = ["--model", "default", "--size", "64", "--dtype", "float32", "--device", "cpu", "--threads", "1", "--alone"]
    options = ["--objects", "1", "2", "3", "--steps", "1", "--out", str(tmp_path)]
    command = [sys.executable, str(SCRIPT), *task, *options]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.count("times ours") == 3
    assert [result["objects"] for result in json.loads((tmp_path / "peers.json").read_text())] == [1, 2, 3]
    for plot in ("peers.png", "objects-default.png"):
        assert cv2.imread(str(tmp_path / plot)).std() > 10, "something is drawn"
