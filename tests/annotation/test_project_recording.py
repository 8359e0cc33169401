"""The recording of a project: where it is, and whether it is that one."""

import shutil
from pathlib import Path

import pytest
from small_clips import make_clip
from small_projects import make_project, write_images

from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.data import bag
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.recording import split_fingerprint


def test_a_recording_that_is_gone_is_named(tmp_path: Path) -> None:
    with Project(make_project(tmp_path)) as project:
        (tmp_path / "images").rename(tmp_path / "elsewhere")
        with pytest.raises(ProjectError, match=f"{tmp_path / 'images'}.*--recordings"):
            recording_of(project)
        (tmp_path / "archive").mkdir()
        (tmp_path / "elsewhere").rename(tmp_path / "archive" / "images")
        assert recording_of(project, [tmp_path / "archive"]).path == tmp_path / "archive" / "images"


def test_another_recording_under_the_same_name_is_refused(tmp_path: Path) -> None:
    with Project(make_project(tmp_path)) as project:
        shutil.rmtree(tmp_path / "images")
        write_images(make_clip("other"), tmp_path / "images")
        with pytest.raises(ProjectError, match=r"images is not the recording that .*walk was made for"):
            recording_of(project)
        shutil.rmtree(tmp_path / "images")
        (tmp_path / "images").mkdir()
        with pytest.raises(ProjectError, match=r"recording of .*walk cannot be opened: "):
            recording_of(project)


def test_another_one_where_it_was_does_not_hide_it_beside_the_project(tmp_path: Path) -> None:
    folder = make_project(tmp_path)
    (tmp_path / "moved").mkdir()
    (tmp_path / "images").rename(tmp_path / "moved" / "images")
    moved = folder.rename(tmp_path / "moved" / folder.name)
    write_images(make_clip("other"), tmp_path / "images")
    with Project(moved) as project:
        assert recording_of(project).path == tmp_path / "moved" / "images"
        with pytest.raises(ProjectError, match="its content is another one"):
            recording_of(project, place=tmp_path / "images")


def test_rates_and_parts_are_those_of_the_project(tmp_path: Path) -> None:
    images = write_images(make_clip(), tmp_path / "images")
    bag.write(make_clip(), tmp_path / "bag")
    for number, recording in enumerate(
        (
            open_recording(images, fps=5.0),
            open_recording(images, fps=5.0).stretch(2, 7),
            open_recording(tmp_path / "bag"),
        )
    ):
        with Project.create(tmp_path / str(number), recording) as project:
            again = recording_of(project)
            assert (again.fingerprint(), again.fps, again.span) == (project.fingerprint, recording.fps, recording.span)
            assert split_fingerprint(project.fingerprint)[0] == recording.content()
