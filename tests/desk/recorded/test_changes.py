"""What pages are told of actions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip

from sam2_ros.annotation.annotated_mask import AnnotatedMask
from sam2_ros.annotation.project import Project
from sam2_ros.desk.recorded.changes import Changes, changed
from sam2_ros.recordings.clip_recording import ClipRecording


@pytest.fixture
def project(tmp_path: Path) -> Project:
    with Project.create(tmp_path / "project", ClipRecording(make_clip(frames=9))) as made:
        yield made


def draw(project: Project, object_id: int, frame: int) -> None:
    project.put_mask("ann", AnnotatedMask.drawn(object_id, frame, np.ones((48, 64), bool), 1))


def test_every_action_is_news_until_pages_were_told(project: Project) -> None:
    changes = Changes()
    project.add_object("ann")
    assert changes.news(project) == []
    draw(project, 1, 3)
    project.undo("ann")
    news = changes.news(project)
    assert [action.kind for action in news] == ["mask", "undo"] == [one.kind for one in changes.news(project)]
    changes.told(news)
    assert changes.news(project) == []


def test_which_masks_have_changed(project: Project) -> None:
    for _ in range(2):
        project.add_object("ann")
    changes = Changes()
    changes.news(project)
    draw(project, 1, 3)
    draw(project, 1, 3)
    draw(project, 2, 4)
    project.describe("ann", 2, "cup")
    project.look("ann", 2, 3, 9, 1.0)
    assert changed(changes.news(project)) == [
        {"type": "changed", "object_id": 1, "frames": [3, 3]},
        {"type": "changed", "object_id": 2, "frames": [4, 4]},
    ]
    project.put_propagated("ann", 2, [AnnotatedMask.drawn(2, 5, np.ones((48, 64), bool), 3)])
    assert changed(changes.news(project)) == [
        {"type": "changed", "object_id": 1, "frames": [3, 3]},
        {"type": "changed", "object_id": 2, "frames": None},
    ]
