"""Outputs that are there completely, or not at all."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from sam2_ros.recordings.outputs.completely import UNFINISHED, alone_in, remove_unfinished, write_completely


def write(path: Path) -> list[str]:
    path.write_text("new")
    return ["written"]


def test_it_is_noted_before_it_is_there_and_replaces_the_one_before(tmp_path: Path) -> None:
    place, seen = tmp_path / "out/data.txt", list[bool]()
    for _ in range(2):
        assert write_completely(place, write, lambda: seen.append(place.exists())) == ["written"]
        assert place.read_text() == "new" and [path.name for path in (tmp_path / "out").iterdir()] == ["data.txt"]
    assert seen == [False, False]


def test_after_an_error_the_one_before_is_there(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("old")

    def fail(path: Path) -> list[str]:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with pytest.raises(OSError, match="the disk is full; make room") as caught:
        write_completely(tmp_path / "data.txt", fail, lambda: None)
    assert caught.value.filename == str(tmp_path / "data.txt")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / UNFINISHED / "davis").mkdir(parents=True)
    remove_unfinished(tmp_path)
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "new/out"
    refused = []

    def other() -> None:
        try:
            with alone_in(out):
                pass
        except OSError as error:
            refused.append(error.errno)

    with alone_in(out):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    other()
    assert refused == [errno.EBUSY] and list(out.iterdir()) == []
