"""COCO JSON that is written picture by picture."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from sam2_ros.data.coco_writer import CocoWriter

ANNOTATION = {"area": 3, "score": 0.5}


def test_pictures_and_categories_are_numbered(tmp_path: Path) -> None:
    with CocoWriter(tmp_path / "masks.json", Path("/photos")) as writer:
        writer.add("a.jpg", 4, 5, [{**ANNOTATION, "category": "cup"}, ANNOTATION])
        writer.add("b.jpg", 6, 7, [])
        writer.add("c.jpg", 8, 9, [{**ANNOTATION, "category": "cup"}])
    content = json.loads((tmp_path / "masks.json").read_text())
    assert content["info"]["image_folder"] == "/photos"
    assert content["images"][2] == {"id": 3, "file_name": "c.jpg", "height": 8, "width": 9}
    ids = [(entry["id"], entry["image_id"], entry["category_id"]) for entry in content["annotations"]]
    assert ids == [(1, 1, 1), (2, 1, 2), (3, 3, 1)]
    assert [category["name"] for category in content["categories"]] == ["cup", "object"]
    assert all("category" not in entry and entry["score"] == 0.5 for entry in content["annotations"])


def test_nothing_is_valid_too(tmp_path: Path) -> None:
    with CocoWriter(tmp_path / "masks.json"):
        pass
    content = json.loads((tmp_path / "masks.json").read_text())
    assert content["images"] == content["annotations"] == [] and len(content["categories"]) == 1


def test_what_was_added_before_an_interruption_is_written(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), CocoWriter(tmp_path / "masks.json") as writer:
        writer.add("a.jpg", 4, 5, [ANNOTATION])
        raise KeyboardInterrupt
    assert len(json.loads((tmp_path / "masks.json").read_text())["annotations"]) == 1
    assert len([*tmp_path.iterdir()]) == 1


def test_full_disk_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "masks.json"
    file.write_text("earlier")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"), CocoWriter(file) as writer:
        writer.add("a.jpg", 4, 5, [ANNOTATION])
    assert file.read_text() == "earlier" and [*tmp_path.iterdir()] == [file]
