"""The recordings in folders, and their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_ros.fleet.recordings_below import names_of, recordings_below


def files(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def below(root: Path, *paths: str) -> list[str]:
    return [str(path.relative_to(root)) for path in recordings_below(root / path for path in paths or [""])]


def test_all_kinds_of_recordings_in_natural_order(tmp_path: Path) -> None:
    files(tmp_path, "run10/metadata.yaml", "run10/run10_0.mcap", "run2/metadata.yaml", "run2/run2_0.db3")
    files(tmp_path, "loose.mcap", "notes.txt", "day/clip.MP4", "day/photos/1.png", "day/photos/2.png")
    assert below(tmp_path) == ["loose.mcap", "day/clip.MP4", "day/photos", "run2", "run10"]


def test_hidden_folders_and_outputs_of_earlier_runs_are_left_out(tmp_path: Path) -> None:
    files(tmp_path, "run/metadata.yaml", ".trash/old.mcap", "out/run/masklets.db", "out/run/bag/metadata.yaml")
    assert below(tmp_path) == ["run"]


def test_files_of_a_bag_without_metadata_are_one_recording(tmp_path: Path) -> None:
    files(tmp_path, "split/run_0.mcap", "split/run_1.mcap", "several/a.mcap", "several/b.mcap")
    assert below(tmp_path) == ["several/a.mcap", "several/b.mcap", "split"]


def test_thumbnails_beside_bags_are_no_recording(tmp_path: Path) -> None:
    files(tmp_path, "a.mcap", "a.jpg", "more/clip.mp4", "more/clip.png")
    assert below(tmp_path) == ["a.mcap", "more/clip.mp4"]


def test_what_is_named_twice_or_does_not_exist_is_there_once(tmp_path: Path) -> None:
    files(tmp_path, "run/metadata.yaml")
    assert below(tmp_path, "run", "", "missing.mcap") == ["run", "missing.mcap"]


def test_names_are_those_of_files_unless_several_have_the_same() -> None:
    paths = [Path("/data/monday/run1"), Path("/data/tuesday/run1"), Path("/data/clip.mp4"), Path("/data/clip.mkv")]
    assert names_of(paths) == ["monday__run1", "tuesday__run1", "clip.mp4", "clip.mkv"]
    assert names_of(paths[1:3]) == ["run1", "clip"]


def test_names_that_cannot_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"/a/b__c.*/a__b/c.*rename one of them"):
        names_of([Path("/a/b__c"), Path("/a__b/c"), Path("/x/c"), Path("/x/b__c")])
