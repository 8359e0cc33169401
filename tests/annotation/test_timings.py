"""The numbers of the table of phases, from the actions of projects."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip

from sam2_ros.annotation.annotated_mask import PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.phase_report import work_report
from sam2_ros.annotation.project import UNSATISFACTORY, Project
from sam2_ros.annotation.timings import Timings, timings, total
from sam2_ros.recordings.clip_recording import ClipRecording
from sam2_ros.tracking.prompt import Click, Prompt


def mask_of(object_id: int, frame: int, phase: int, origin: str, visible: bool = True) -> AnnotatedMask:
    pixels = np.zeros((48, 64), bool)
    pixels[10:20, 10:20] = visible
    drawn = AnnotatedMask.drawn(object_id, frame, pixels, phase)
    return AnnotatedMask(**{**vars(drawn), "origin": origin})


def clicked(project: Project, by: str, object_id: int, frame: int, clicks: int, phase: int, seconds: float) -> None:
    """Clicks one after the other, as the assistant stores them."""
    for number in range(1, clicks + 1):
        prompt = Prompt(object_id, clicks=[Click(12, 12)] * number)
        project.put_mask(by, mask_of(object_id, frame, phase, PROMPTED), prompt, seconds=seconds / clicks)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """24 frames of 24 a second: 0, 4, 8, 12, 16 and 20 are to be annotated."""
    with Project.create(tmp_path / "project", ClipRecording(make_clip(frames=24))) as made:
        yield made


def test_work_of_two_people_in_two_phases(project: Project) -> None:
    one, other = project.add_object("ann"), project.add_object("ben")
    for frame in range(0, 24, 4):
        clicked(project, "ann", one, frame, 4, 1, 30.0)
    project.put_mask("ann", mask_of(one, 8, 1, "drawn"), seconds=20.0)
    clicked(project, "ben", other, 4, 2, 3, 5.0)
    masks = [mask_of(other, frame, 3, PROPAGATED, frame > 2) for frame in range(24)]
    project.put_propagated("ben", other, masks, seconds=1.0)
    project.look("ben", other, 3, 5, 10.0)
    clicked(project, "ann", other, 13, 1, 3, 2.0)  # not one of those to annotate: it counts as one now
    project.judge("carl", other, UNSATISFACTORY, seconds=100.0)  # verification is no annotation

    work = timings(project)
    assert list(work) == [1, 3]
    assert work[1] == Timings(1, frames=6, edited=6, clicked=6, clicks=24, drawn=1, seconds=pytest.approx(200))
    assert work[1].seconds_per_frame == pytest.approx(200 / 6) and work[1].edited_share == 1
    # object 2 is visible from frame 3 on: 4, 8, ... 20 and 13
    assert work[3] == Timings(1, frames=6, edited=2, clicked=2, clicks=3, seconds=pytest.approx(18), looking=10)
    assert work[3].clicks_per_clicked_frame == 1.5


def test_what_nobody_timed_is_counted(project: Project) -> None:
    one = project.add_object("ann")
    clicked(project, "ann", one, 0, 2, 3, 0.0)
    assert timings(project)[3].untimed == 1 and math.isnan(timings(project)[3].seconds_per_frame)
    clicked(project, "ann", one, 4, 2, 3, 5.0)
    work = timings(project)[3]
    assert (work.edited, work.untimed, work.seconds_per_frame) == (2, 1, 2.5)
    assert any("1 of 2 edited frames were not timed" in note for note in work_report({}, {3: work}).notes)
    assert not any("timed" in note for note in work_report({}, {3: replace(work, untimed=0)}).notes)


def test_what_was_undone_took_time_but_edited_nothing(project: Project) -> None:
    one = project.add_object("ann")
    clicked(project, "ann", one, 0, 1, 3, 2.0)
    clicked(project, "ann", one, 4, 1, 3, 2.0)
    project.look("ann", one, 3, 1, 1.0)
    project.undo("ann", seconds=0.5)  # the click, not the look
    assert timings(project)[3] == Timings(1, frames=1, edited=1, clicked=1, clicks=1, seconds=5.5, looking=1.0)
    project.redo("ann", seconds=0.5)
    assert timings(project)[3] == Timings(1, frames=2, edited=2, clicked=2, clicks=2, seconds=6.0, looking=1.0)
    project.remove_mask("ann", one, 4, seconds=3.0)  # of the phase before
    assert timings(project)[3].seconds == 9.0


def test_proposals_and_empty_projects_are_no_work(project: Project) -> None:
    assert timings(project) == {}
    project.add_object("robot", masks=[mask_of(0, frame, 0, "automatic") for frame in range(24)])
    assert timings(project) == {}
    assert math.isnan(Timings().seconds_per_frame) and math.isnan(Timings().clicks_per_clicked_frame)


def test_sum_of_projects() -> None:
    first, second = {1: Timings(1, 2, 2, seconds=3.0), 3: Timings(1, 9)}, {1: Timings(2, 4, 1, seconds=1.5)}
    assert total([first, second]) == {1: Timings(3, 6, 3, seconds=4.5), 3: Timings(1, 9)}
    assert total([]) == {}
