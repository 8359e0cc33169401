"""Where a person should look next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip

from sam2_ros.annotation.annotated_mask import PROPAGATED, AnnotatedMask
from sam2_ros.annotation.annotated_object import PROPOSED, REJECTED
from sam2_ros.annotation.least_sure import PLACES, Place, least_sure, places
from sam2_ros.annotation.project import SATISFACTORY, Project
from sam2_ros.recordings.clip_recording import ClipRecording

FPS = 4
FRAMES = 60


def masks(doubtful: dict[int, float], origin: str = PROPAGATED) -> list[AnnotatedMask]:
    """Masks on all frames, with a predicted IoU of 0.9 but for some."""
    pixels = np.ones((48, 64), bool)
    drawn = AnnotatedMask.drawn(0, 0, pixels, 3)
    return [replace(drawn, frame=f, iou=doubtful.get(f, 0.9), origin=origin) for f in range(FRAMES)]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path, ClipRecording(replace(make_clip(frames=FRAMES), fps=FPS))) as made:
        yield made


def test_places_are_those_most_in_doubt_a_second_apart(project: Project) -> None:
    one = project.add_object("ann", masks=masks({10: 0.3, 11: 0.2, 13: 0.25, 14: 0.35, 30: 0.1}))
    assert places(project, count=4)[:3] == [Place(30, one, 0.1), Place(11, one, 0.2), Place(0, one, 0.9)]
    assert len(places(project)) == PLACES
    frames = [place.frame for place in places(project)]
    assert all(abs(a - b) >= FPS for a in frames for b in frames if a != b)


def test_the_first_is_the_one_most_in_doubt_and_then_they_come_in_order_of_time(project: Project) -> None:
    doubtful = {frame: 0.3 + frame / 1000 for frame in range(2, 42, 4)}  # ten
    one = project.add_object("ann", masks=masks({**doubtful, 22: 0.1}))
    assert least_sure(project) == Place(22, one, 0.1)
    assert [least_sure(project, one, frame).frame for frame in (21, 22, 25, 26, 38, 59)] == [22, 26, 26, 30, 2, 2]
    seen, place = [], least_sure(project)
    for _ in range(PLACES):
        seen.append(place.frame)
        place = least_sure(project, after=place)
    assert sorted(seen) == sorted(doubtful) and place.frame == 22, "all, and then again"


def test_masks_by_hand_are_sure(project: Project) -> None:
    one = project.add_object("ann", masks=masks({10: 0.1, 30: 0.2}))
    assert least_sure(project).frame == 10
    project.put_mask("ann", replace(AnnotatedMask.drawn(one, 10, np.ones((48, 64), bool), 3), iou=0.1))
    assert least_sure(project).frame == 30


def test_places_on_one_frame_come_one_after_the_other(project: Project) -> None:
    one, two = (project.add_object("ann", masks=masks({20: iou})[15:25]) for iou in (0.2, 0.1))
    first = least_sure(project)
    assert first == Place(20, two, 0.1) and least_sure(project, one) == Place(20, one, 0.2)
    assert least_sure(project, after=19) == Place(20, one, 0.2)
    assert least_sure(project, after=Place(20, one, 0.2)) == first and least_sure(project, after=20).frame != 20


def test_what_has_been_looked_at_is_asked_for_by_its_number_only(project: Project) -> None:
    verified = project.add_object("ann", masks=masks({20: 0.1}))
    project.judge("ben", verified, SATISFACTORY)
    project.add_object("automatic", state=REJECTED, masks=masks({20: 0.1}))
    assert least_sure(project) is None and least_sure(project, after=3) is None
    assert least_sure(project, verified) == Place(20, verified, 0.1)
    proposed = project.add_object("automatic", state=PROPOSED, masks=masks({20: 0.4}))
    assert least_sure(project) == Place(20, proposed, 0.4)


def test_doubt_about_being_visible_counts(project: Project) -> None:
    sure = masks({})
    absent = replace(sure[0], present=False, iou=0.0)
    several = [replace(absent, frame=10, presence=0.02), replace(absent, frame=20, presence=0.45)]
    several += [replace(sure[0], frame=30, presence=0.7), replace(sure[0], frame=40)]
    one = project.add_object("ann", masks=several)
    found = [(place.frame, round(place.iou, 6)) for place in places(project, one)]
    assert found == [(20, 0.55), (30, 0.63), (40, 0.9), (10, 0.98)]
