"""What is learnt from, and what is held out."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from small_projects import make_project

from sam2_ros.annotation.held_out import BY_RECORDING, BY_STRETCH, NOTHING, Split, split
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.annotation.project_recording import recording_of


def split_of(folders: Sequence[Path], share: float = 0.3) -> Split:
    with ExitStack() as stack:
        projects = [stack.enter_context(Project(folder)) for folder in folders]
        return split([(project, recording_of(project)) for project in projects], share)


def names(clips: Sequence) -> set[str]:
    return {clip.name for clip in clips}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("projects")
    return [make_project(root / str(number), f"walk{number}", frames=4) for number in range(10)]


def test_split_is_the_same_for_any_order_and_does_not_move_when_projects_come(folders: list[Path]) -> None:
    whole = split_of(folders)
    assert whole.by == BY_RECORDING and 1 <= len(whole.held_out) <= 4
    assert names(whole.training) | names(whole.held_out) == {folder.name for folder in folders}
    assert not names(whole.training) & names(whole.held_out)
    assert names(split_of(folders[::-1]).held_out) == names(whole.held_out)
    for count in range(2, 10):
        part = split_of(folders[:count])
        assert part.training and 1 <= len(part.held_out) <= max(1, round(0.45 * count))
        still = names(part.held_out) & names(whole.held_out)
        there = names(whole.held_out) & {one.name for one in folders[:count]}
        if there:  # those that are held out first, of all and of these
            assert still and still <= there


def test_at_least_one_recording_is_on_each_side(folders: list[Path]) -> None:
    for share in (1e-9, 1 - 1e-9):
        for count in (2, 3):
            parts = split_of(folders[:count], share)
            assert parts.training and parts.held_out and len(parts.training) + len(parts.held_out) == count
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(ProjectError, match="between 0 and 1"):
            split_of(folders, share)


def test_two_projects_of_one_recording_are_on_one_side(tmp_path: Path, folders: list[Path]) -> None:
    again = make_project(tmp_path, "walk0", frames=4)  # the same images
    for others in (folders[1:4], folders[4:7], folders[7:]):
        parts = split_of([folders[0], again, *others], 0.5)
        sides = [names(side) & {str(folders[0]), str(again)} for side in (parts.training, parts.held_out)]
        assert sorted(map(len, sides)) == [0, 2]


def test_of_one_recording_the_end_is_held_out_and_it_is_said(tmp_path: Path) -> None:
    parts = split_of([make_project(tmp_path, frames=20)])
    assert parts.by == BY_STRETCH and "flatter" in parts.notes[0]
    assert [len(clip) for clip in (*parts.training, *parts.held_out)] == [14, 6]


def test_too_little_to_hold_out_is_said(tmp_path: Path) -> None:
    parts = split_of([make_project(tmp_path, frames=5)])
    assert parts.by == NOTHING and names(parts.training) == names(parts.held_out) == {"walk"}
    assert "on what was learnt" in parts.notes[0]


def test_what_cannot_be_learnt_from_is_an_error(tmp_path: Path, folders: list[Path]) -> None:
    unverified = make_project(tmp_path / "a", "open", verified=False)
    with pytest.raises(ProjectError, match=f"{unverified} has no verified masklets"):
        split_of([unverified])
    single = make_project(tmp_path / "b", "single", annotated=(3,))
    with pytest.raises(ProjectError, match="no verified masklet in single has masks on two frames"):
        split_of([single])
    parts = split_of([unverified, *folders[:3]])
    assert any("open has no verified" in note for note in parts.notes)
    assert "single" not in names(split_of([single, *folders[:3]]).training)
