"""A run as a clip: any frame by itself, or all in order, each decoded once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from finished_runs import LABELS, make_run
from small_clips import make_clip, same_frames, same_masks

from sam2_ros.recordings.outputs.stored_clip import stored_clip


def test_clip_is_that_of_the_run(tmp_path: Path) -> None:
    clip = make_clip(overlap=True)
    read = []
    run = make_run(tmp_path, clip)
    again = stored_clip(replace(run, on_frame=lambda: read.append(1)))
    same_masks(again, clip)
    same_frames(again, clip, tolerance=0)
    assert len(read) == len(again) == 9
    assert again.labels == LABELS and abs(again.fps - 24) < 0.01
    for index in (8, 0, 4):
        np.testing.assert_array_equal(again.frames[index], clip.frames[index])
        np.testing.assert_array_equal(again.masks[index], clip.masks[index])
    assert again.ious is not None
    assert [ious.tolist() for ious in again.ious][3:5] == [[0.125, 0.25, 0.0], [0.125, 0.25, 0.625]]
