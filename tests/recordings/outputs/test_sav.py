"""A run in the layout of SA-V, read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from finished_runs import make_run
from small_clips import make_clip, same_frames

from sam2_ros.data import sav as reader
from sam2_ros.recordings.outputs import sav


def test_run_is_read_back(tmp_path: Path) -> None:
    clip = make_clip(fps=12.5)
    run = make_run(tmp_path, clip)
    assert sav.write(run, tmp_path / "sav") == []
    (again,) = reader.clips(tmp_path / "sav")
    assert again.object_ids == clip.object_ids and abs(again.fps - 12.5) < 0.01
    same_frames(again, clip, tolerance=3)
    assert [index for index, masks in enumerate(again.masks) if masks is not None] == [0, 4, 8]
    for index in (0, 4, 8):
        assert np.array_equal(again.masks[index], clip.masks[index])
    content = json.loads((tmp_path / "sav/source_manual.json").read_text())
    assert content["masklet_id"] == [0, 1, 4] and content["masklet_first_appeared_frame"] == [0, 0, 1]
