"""A run in the layout of DAVIS, read back."""

from __future__ import annotations

from pathlib import Path

from finished_runs import make_run
from small_clips import make_clip, same_frames, same_masks

from sam2_ros.data import davis as reader
from sam2_ros.recordings.outputs import davis


def test_run_is_read_back(tmp_path: Path) -> None:
    clip = make_clip()
    run = make_run(tmp_path, clip)
    assert davis.write(run, tmp_path / "davis") == []
    (again,) = reader.clips(tmp_path / "davis")
    assert again.name == "source"
    same_masks(again, clip)
    same_frames(again, clip, tolerance=3)


def test_ids_must_fit() -> None:
    assert davis.check_ids([1, 254]) == "" == davis.check_ids([])
    assert "choose sav" in davis.check_ids([1, 255])
