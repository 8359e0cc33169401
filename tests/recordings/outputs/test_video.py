"""The overlay as a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from finished_runs import make_run, masklets
from small_clips import make_clip

from sam2_ros.data.video import VideoFrames
from sam2_ros.recordings.outputs import video
from sam2_ros.tracking.overlay import Overlay


def test_video_shows_the_overlay(tmp_path: Path) -> None:
    clip = make_clip()
    run = make_run(tmp_path, clip)
    assert video.write(run, tmp_path / "video.mp4") == []
    frames, overlay = VideoFrames(tmp_path / "video.mp4"), Overlay()
    assert len(frames) == 9
    for index, frame in enumerate(frames):
        truth = overlay.draw(clip.frames[index], masklets(clip, index))
        assert np.abs(frame.astype(int) - truth).mean() < 0.5 * np.abs(clip.frames[index].astype(int) - truth).mean()
