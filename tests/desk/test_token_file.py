"""A token that stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_ros.desk.token_file import TOKEN, read_or_make_token


def test_it_stays_the_same_and_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = read_or_make_token(path)
    assert TOKEN.fullmatch(token) and path.stat().st_mode & 0o777 == 0o600
    assert read_or_make_token(str(path)) == token
    assert read_or_make_token(tmp_path / "other") != token


@pytest.mark.parametrize("text", ["", "short", "a token of words that is long enough", "x" * 300, "x" * 30 + "\ny"])
def test_what_is_no_token_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(ValueError, match="has no token"):
        read_or_make_token(path)
    assert path.read_text() == text


def test_others_must_not_read_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    read_or_make_token(path)
    path.chmod(0o640)
    with pytest.raises(ValueError, match=f"others may read it: chmod 600 {path}"):
        read_or_make_token(path)
    with pytest.raises(OSError):
        read_or_make_token(tmp_path / "no" / "folder")
