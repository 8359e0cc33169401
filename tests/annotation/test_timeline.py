"""Timelines: stretches of frames that are alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip

from sam2_ros.annotation.annotated_mask import DRAWN, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.timeline import Stretch, timeline
from sam2_ros.recordings.clip_recording import ClipRecording


def a_mask(frame: int, iou: float = 1.0, origin: str = PROPAGATED, visible: bool = True) -> AnnotatedMask:
    mask = np.zeros((48, 64), bool)
    mask[10:20, 10:20] = visible
    return replace(AnnotatedMask.drawn(1, frame, mask, 3), origin=origin, iou=iou)


def test_frames_that_are_alike_are_one_stretch(tmp_path: Path) -> None:
    masks = [
        *(a_mask(frame, iou) for frame, iou in ((0, 0.80), (1, 0.81), (2, 0.79), (4, 0.8), (5, 0.5))),
        a_mask(6, origin=DRAWN),
        a_mask(7, 0.3, visible=False),
        a_mask(8, 0.9, visible=False),
    ]
    with Project.create(tmp_path / "project", ClipRecording(make_clip(frames=12))) as project:
        project.add_object("ann", masks=masks)
        project.add_object("ann")
        found = timeline(project)
        assert found == {
            1: [
                Stretch(0, 2, PROPAGATED, True, pytest.approx(0.8)),
                Stretch(4, 4, PROPAGATED, True, 0.8),
                Stretch(5, 5, PROPAGATED, True, 0.5),
                Stretch(6, 6, DRAWN, True, 1.0),
                Stretch(7, 8, PROPAGATED, False, pytest.approx(0.6)),
            ],
            2: [],
        }
        assert list(timeline(project, [2])) == [2]
