"""The files of the page."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parent / "page"

CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
}
"""Of the files that a page consists of; others are not served."""


class PageFile(NamedTuple):
    """The content of one file."""

    content: bytes
    content_type: str
    etag: str
    """Another one for another content."""


class PageFiles:
    """The files below a folder, by their paths in it. They are listed once: no path that somebody sends is ever opened.

    Args:
        folder: what the page consists of.
    """

    def __init__(self, folder: Path = PAGE) -> None:
        self._paths = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.suffix in CONTENT_TYPES and path.is_file()
        }
        self._read: dict[str, tuple[int, PageFile]] = {}

    def get(self, name: str) -> PageFile | None:
        """The file, as it is now; None: there is none of this name."""
        path = self._paths.get(name)
        if path is None:
            return None
        try:
            changed = path.stat().st_mtime_ns
            if name not in self._read or self._read[name][0] != changed:
                content = path.read_bytes()
                etag = hashlib.sha256(content).hexdigest()[:32]
                self._read[name] = changed, PageFile(content, CONTENT_TYPES[path.suffix], etag)
        except FileNotFoundError:  # removed since
            return None
        return self._read[name][1]
