from __future__ import annotations

from pathlib import Path

import held_out
import numpy as np
import pytest
from small_clips import make_clip
from small_network import default_network
from small_photographs import photograph

from sam2_ros.data import davis
from sam2_ros.data.clip import Clip
from sam2_ros.tracking.tracker import Tracker


def test_answers_are_sorted_by_what_was_seen_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "region_similarity", lambda mask, truth: 0.5)
    clip = make_clip("walk", frames=6, ids=(1, 2))
    masks = [mask.copy() for mask in clip.masks]
    masks[3][0] = False  # the first is hidden once
    masks[1][1] = masks[0][1] & (np.arange(64) < 8)
    masks[0][1] = masks[0][1] & (np.arange(64) < 6)  # the second is small when it is clicked
    values = held_out.judge(Tracker(default_network()), [Clip("walk", clip.frames, (1, 2), masks)])
    counts = {measure: len(values[measure]) for measure in held_out.MEASURES}
    assert counts == {
        held_out.FIRST: 2,
        held_out.UNTIL: 2 + 5,
        held_out.AFTER: 2,
        held_out.ABSENT: 1,
        held_out.SMALL_FIRST: 1,
        held_out.SMALL_LATER: 5,
    }
    assert values[held_out.ABSENT] == [False], "the network says that objects are always present"


def test_the_rule_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(held_out, "load_model", lambda **options: default_network())
    monkeypatch.setattr(held_out, "FEWEST", 1)
    shown = [photograph(number) for number in range(7)]  # one of them is held out
    davis.write(held_out.stills(shown, "stills"), tmp_path)
    options = ["--photographs", str(tmp_path), "--clips", "1", "--frames", "4", "--scene", "64x48"]
    monkeypatch.setattr("sys.argv", ["held_out.py", "other.safetensors", *options])
    held_out.main()
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")] for line in printed.splitlines()]
    first = [row[1] for row in rows if len(row) > 2 and row[2] == "first answer"]
    until = [row[1] for row in rows if len(row) > 2 and row[2] == "until absent"]
    assert first == ["tables, click", "scenes, click", "clips, click", "stills, click"], "masks are given, not answers"
    assert until[-2:] == ["clips, click", "clips, mask"]
    assert "first answer" in printed and "other.safetensors" in printed
    assert "worst +0.0: no" in printed, "equal weights replace nothing"
