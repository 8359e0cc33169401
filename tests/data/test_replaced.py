"""Files that are replaced when they are complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_ros.data.replaced import replacing


def test_file_is_replaced_when_complete(tmp_path: Path) -> None:
    file = tmp_path / "folder/file.txt"
    with replacing(file) as part:
        part.write_text("new")
        assert not file.exists()
    assert file.read_text() == "new" and [*file.parent.iterdir()] == [file]


def test_failure_leaves_the_earlier_file(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(file) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert file.read_text() == "old" and [*tmp_path.iterdir()] == [file]
