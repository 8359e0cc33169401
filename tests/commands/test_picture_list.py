"""The pictures that are named on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_ros.commands.picture_list import PictureList


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Empty files."""
    names = ["b10.jpg", "b2.jpg", "a/x.png", "a/y.PNG", "c/x.png", "c/x.jpg", ".hidden.jpg", ".git/z.jpg", "notes.txt"]
    for name in names:
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "photos"


def test_folders_are_searched_in_natural_order(photos: Path) -> None:
    found = PictureList.of([photos], photos / "masks")
    assert found.folder == photos
    assert [picture.name for picture in found.pictures] == [
        "b2.jpg", "b10.jpg", "a/x.png", "a/y.PNG", "c/x.jpg", "c/x.png"
    ]  # fmt: skip


def test_no_two_pictures_have_the_same_output(photos: Path) -> None:
    outputs = [picture.output.as_posix() for picture in PictureList.of([photos], photos / "masks").pictures]
    assert outputs == ["b2", "b10", "a/x", "a/y", "c/x.jpg", "c/x.png"]
    of_two = PictureList.of([photos / "a", photos / "c" / "x.png"], photos)
    assert (of_two.folder, [picture.name for picture in of_two.pictures]) == (photos, ["a/x.png", "a/y.PNG", "c/x.png"])


def test_a_picture_that_is_named_twice_counts_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    found = PictureList.of([Path("a/x.png"), Path("a"), photos / "a" / "y.PNG"], Path("masks"))
    assert (found.folder, [picture.name for picture in found.pictures]) == (photos / "a", ["x.png", "y.PNG"])


def test_results_of_an_earlier_run_are_left_out(photos: Path) -> None:
    names = [picture.name for picture in PictureList.of([photos], photos / "a").pictures]
    assert names == ["b2.jpg", "b10.jpg", "c/x.jpg", "c/x.png"]
    assert len(PictureList.of([photos / "a"], photos / "a").pictures) == 2


@pytest.mark.parametrize(("name", "said"), [("gone.jpg", "there is no such file"), ("empty", "there are no pictures")])
def test_nothing_to_segment_is_said(photos: Path, name: str, said: str) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(ValueError, match=f"{name}: {said}"):
        PictureList.of([photos / name], photos / "masks")
