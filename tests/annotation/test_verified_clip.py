"""The verified masklets of a project as a clip."""

from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip
from small_projects import make_project

from sam2_ros.annotation.annotated_mask import AnnotatedMask
from sam2_ros.annotation.project import UNSATISFACTORY, Project, ProjectError
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.annotation.verified_clip import Opened, verified_clip
from sam2_ros.data.clips import ClipError


def test_images_and_masks_are_those_of_the_recording(tmp_path: Path) -> None:
    truth = make_clip("walk", 20)
    with Project(make_project(tmp_path, frames=20)) as project:
        one = verified_clip(project, recording_of(project))
    clip = one.clip
    assert (clip.name, clip.object_ids, clip.labels) == ("walk", (1, 2, 3), {1: "thing 1", 2: "thing 2", 3: "thing 5"})
    for frame in [*range(20), 3, 17, 0]:  # in order, and not
        assert np.array_equal(clip.frames[frame], truth.frames[frame])
        assert np.array_equal(clip.masks[frame], truth.masks[frame])
    assert clip.known is not None and clip.known.all()
    assert np.array_equal(one.visible, [masks.any(axis=(1, 2)) for masks in truth.masks if masks is not None])
    assert one.longest == 20 and one.scorable


def test_a_mask_that_is_missing_is_unknown_and_others_are_known(tmp_path: Path) -> None:
    with Project(make_project(tmp_path, annotated=(2, 4, 6))) as project:
        recording = recording_of(project)
        project.remove_mask("ann", 2, 4)
        project.judge("bob", 2, "satisfactory")
        clip = verified_clip(project, recording).clip
    assert len(clip) == 5  # from frame 2 to frame 6
    assert np.array_equal(clip.frames[0], make_clip("walk").frames[2])
    assert [masks is None for masks in clip.masks] == [False, True, False, True, False]
    assert clip.known is not None
    assert clip.known.tolist() == [[True] * 3, [False] * 3, [True, False, True], [False] * 3, [True] * 3]


def test_only_verified_objects_are_taken(tmp_path: Path) -> None:
    with Project(make_project(tmp_path)) as project:
        recording = recording_of(project)
        project.judge("bob", 1, UNSATISFACTORY)
        assert verified_clip(project, recording).clip.object_ids == (2, 3)
        for object_id in (2, 3):
            project.put_mask("ann", AnnotatedMask.drawn(object_id, 0, np.ones((48, 64), bool), 3))  # open again
        with pytest.raises(ProjectError, match="no verified masklets"):
            verified_clip(project, recording)


def test_a_part_of_a_recording(tmp_path: Path) -> None:
    with Project(make_project(tmp_path)) as project:
        recording = recording_of(project)
        part = verified_clip(project, recording, range(5, 9))
        assert len(part.clip) == 4
        assert np.array_equal(part.clip.frames[0], make_clip("walk").frames[5])
        with pytest.raises(ProjectError, match="no masks on the frames"):
            verified_clip(project, recording, range(9, 12))


def test_scores_need_two_frames_after_the_first(tmp_path: Path) -> None:
    for number, (annotated, scorable) in enumerate({(0, 1): False, (0, 1, 2): True, (0,): False}.items()):
        with Project(make_project(tmp_path / str(number), annotated=annotated)) as project:
            one = verified_clip(project, recording_of(project))
            assert (one.longest, one.scorable) == (len(annotated), scorable)


def test_opened_clips_share_nothing_but_the_recording(tmp_path: Path) -> None:
    with Project(make_project(tmp_path)) as project:
        clips = Opened([verified_clip(project, recording_of(project)).clip])
    first, second = clips[0], clips[0]
    assert first.frames is not second.frames
    assert np.array_equal(first.frames[3], second.frames[3]) and len(clips[:1]) == 1


def test_a_damaged_image_is_an_error_only_if_it_is_annotated(tmp_path: Path) -> None:
    folder = make_project(tmp_path, annotated=(0, 4, 8))
    with Project(folder) as project:
        recording = recording_of(project)
        clip = verified_clip(project, recording).clip
        for frame in (3, 4):
            (tmp_path / "images" / f"{frame:05d}.png").write_bytes(b"no image")
        assert np.array_equal(clip.frames[3], clip.frames[2])
        with pytest.raises(ClipError, match="frame 4"):
            clip.frames[4]
