"""Film strips show what tells most of a masklet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip

from sam2_ros.annotation.annotated_mask import AUTOMATIC, DRAWN, PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.annotated_object import PROPOSED
from sam2_ros.annotation.film_strip import COLOURS, EDGE, HEIGHT, MOMENTS, WIDTH, chosen_moments, film_strip
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.recordings.clip_recording import ClipRecording

FRAMES = 40


def a_mask(frame: int, present: bool = True, iou: float = 0.9, origin: str = PROPAGATED) -> AnnotatedMask:
    mask = np.zeros((48, 64), bool)
    mask[10:20, 5 : 15 + frame // 4] = present
    return replace(AnnotatedMask.drawn(0, frame, mask, 3), iou=iou, origin=origin)


@pytest.fixture
def recording() -> ClipRecording:
    return ClipRecording(make_clip(frames=FRAMES))


@pytest.fixture
def project(tmp_path: Path, recording: ClipRecording) -> Iterator[Project]:
    with Project.create(tmp_path, recording) as made:
        yield made


def test_moments_are_begin_end_corrections_the_worst_and_the_absent_one() -> None:
    masks = [a_mask(frame, present=6 <= frame < 33 and frame not in (20, 21, 22)) for frame in range(FRAMES)]
    masks[9] = replace(masks[9], iou=0.2)
    masks[14] = replace(masks[14], origin=PROMPTED)
    masks[25] = replace(masks[25], origin=DRAWN)
    chosen = chosen_moments(masks)
    assert len(chosen) == MOMENTS and chosen == sorted(set(chosen))
    assert {6, 32, 9, 14, 25, 21} <= set(chosen)
    assert max(np.diff(chosen)) <= 6, "and what lies between them"


def test_moments_of_short_and_of_invisible_masklets() -> None:
    assert chosen_moments([a_mask(3)]) == [3]
    assert chosen_moments([a_mask(3), a_mask(5), a_mask(9)]) == [3, 5, 9]
    assert chosen_moments([a_mask(frame, present=False) for frame in range(30)], 3) == [0, 14, 29]
    by_hand = [a_mask(frame, origin=DRAWN) for frame in range(100)]
    assert len(chosen_moments(by_hand, 4)) == 4 and chosen_moments(by_hand, 2) == [0, 99]
    worst = [a_mask(frame, iou=1.0 - (frame == 7)) for frame in range(20)]
    assert chosen_moments(worst, 2) == [0, 19] and chosen_moments(worst, 3) == [0, 7, 19]


def test_picture_shows_where_masks_came_from(project: Project, recording: ClipRecording) -> None:
    masks = [a_mask(frame, present=frame < 35, origin=AUTOMATIC if frame % 39 else DRAWN) for frame in range(FRAMES)]
    one = project.add_object("automatic", "cup", state=PROPOSED, masks=masks)
    picture = film_strip(project, recording, one)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    for origin, frames in ((AUTOMATIC, MOMENTS - 2), (DRAWN, 2)):
        pixels = int((picture == COLOURS[origin]).all(2).sum())
        edge = 2 * EDGE * (WIDTH + HEIGHT - 2 * EDGE)
        assert pixels > frames * edge, f"{frames} pictures have a frame of this colour"
    assert np.array_equal(picture, film_strip(project, recording, one))


@pytest.mark.parametrize("moments", [2, 5])
def test_numbers_of_moments(project: Project, recording: ClipRecording, moments: int) -> None:
    one = project.add_object("ann", masks=[a_mask(frame) for frame in range(FRAMES)])
    large, small = film_strip(project, recording, one), film_strip(project, recording, one, moments)
    assert small.shape[0] < large.shape[0] and small.shape[1] == large.shape[1]


def test_masklets_without_masks_and_without_visible_ones(project: Project, recording: ClipRecording) -> None:
    empty = project.add_object("ann")
    with pytest.raises(ProjectError, match="no masks"):
        film_strip(project, recording, empty)
    gone = project.add_object("ann", masks=[a_mask(frame, present=False) for frame in range(4)])
    assert film_strip(project, recording, gone).any()
