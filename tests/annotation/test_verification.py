"""Who has to judge what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip

from sam2_ros.annotation.annotated_mask import AUTOMATIC, AnnotatedMask
from sam2_ros.annotation.annotated_object import PROPOSED
from sam2_ros.annotation.project import NO_OBJECT, SATISFACTORY, UNSATISFACTORY, Project
from sam2_ros.annotation.verification import queue
from sam2_ros.recordings.clip_recording import ClipRecording

FRAMES = 9


def a_mask(frame: int, iou: float = 1.0, present: bool = True) -> AnnotatedMask:
    mask = np.zeros((48, 64), bool)
    mask[10:20, 5:15] = present
    return replace(AnnotatedMask.drawn(0, frame, mask, 3), iou=iou)


def masks(iou: float = 1.0, frames: range = range(FRAMES)) -> list[AnnotatedMask]:
    return [a_mask(frame, iou) for frame in frames]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path, ClipRecording(make_clip(frames=FRAMES))) as made:  # phase 1: frames 0, 4, 8
        yield made


def ids(project: Project, by: str) -> list[int]:
    return [one.object.object_id for one in queue(project, by)]


def test_proposals_come_first_and_the_best_of_them(project: Project) -> None:
    good = project.add_object("ann", masks=masks(0.9))
    poor = project.add_object("automatic", state=PROPOSED, masks=masks(0.4, range(5, 9)))
    better = project.add_object("automatic", state=PROPOSED, masks=[*masks(0.8), a_mask(8, 0.1, present=False)])
    worse = project.add_object("ben", masks=masks(0.7))
    assert ids(project, "carl") == [better, poor, good, worse]
    assert ids(project, "ann") == [better, poor, worse] and ids(project, "ben") == [better, poor, good]
    first = queue(project, "carl")[0].extent
    assert (first.known, first.annotated, first.visible, round(first.iou, 6)) == (9, 3, 8, 0.8)


def test_open_objects_wait_until_they_are_complete(project: Project) -> None:
    one = project.add_object("ann", masks=[a_mask(0), a_mask(4)])
    project.add_object("ann")
    assert ids(project, "ben") == []
    assert [waiting.object.object_id for waiting in queue(project, "ben", complete=0.6)] == [one]
    project.put_mask("ann", replace(a_mask(8, present=False), object_id=one))
    assert ids(project, "ben") == [one]


def test_verdicts_leave_the_queue_until_something_changes(project: Project) -> None:
    one, two, three = (project.add_object("ann", masks=masks()) for _ in range(3))
    project.judge("ben", one, SATISFACTORY)
    project.judge("ben", two, NO_OBJECT)
    project.judge("ben", three, UNSATISFACTORY)
    assert ids(project, "ben") == [] == ids(project, "carl")
    project.describe("carl", three, "cup")
    assert ids(project, "ben") == [], "a label is no correction"
    project.put_mask("ann", replace(a_mask(4), object_id=three))
    assert ids(project, "ben") == [three]
    project.judge("ben", three, UNSATISFACTORY)
    project.undo("ben")
    assert ids(project, "ben") == [three]


def test_who_corrects_a_proposal_does_not_verify_it(project: Project) -> None:
    one = project.add_object("automatic", state=PROPOSED, masks=[replace(m, origin=AUTOMATIC) for m in masks()])
    project.put_mask("ann", replace(a_mask(4), object_id=one))
    assert ids(project, "ann") == [] and ids(project, "ben") == [one]
