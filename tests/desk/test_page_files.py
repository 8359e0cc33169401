"""The files of the page, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from desk_parts import write_page

from sam2_ros.desk.page_files import PageFiles


def test_files_with_their_types(tmp_path: Path) -> None:
    files = PageFiles(write_page(tmp_path))
    types = {
        name: file.content_type for name in ("index.html", "main.js", "style/look.css") if (file := files.get(name))
    }
    assert types == {"index.html": "text/html", "main.js": "text/javascript", "style/look.css": "text/css"}


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "style/../main.js",
        "style/../../secret.txt",
        "/etc/passwd",
        "./main.js",
        "main.js/",
        "MAIN.JS",
        "main.js\0",
        "notes.py",
        "style",
        "",
        "x" * 10_000,
    ],
)
def test_nothing_else(tmp_path: Path, name: str) -> None:
    assert PageFiles(write_page(tmp_path)).get(name) is None


def test_changed_file_has_another_etag(tmp_path: Path) -> None:
    page = write_page(tmp_path)
    files = PageFiles(page)
    before = files.get("main.js")
    assert before is files.get("main.js")
    (page / "main.js").write_text("export const desk = 2;\n")
    os.utime(page / "main.js", ns=(1, 1))
    after = files.get("main.js")
    assert before and after and after.etag != before.etag and b"2" in after.content
    (page / "main.js").unlink()
    assert files.get("main.js") is None
