"""Files and folders that operating systems leave beside a user's own, and folders walked without them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_SYSTEM = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
"""Folders of macOS' archives, Synology's thumbnails, Windows' and Linux' file systems."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no data: hidden (._frame_2.jpg), or an operating system's own."""
    return name.startswith(".") or name in _SYSTEM


def files_below(root: Path) -> Iterator[Path]:
    """All files of a folder and its folders, links to folders included, each folder once; nothing hidden."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # also what ends links that lead in a circle
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (Path(folder, name) for name in sorted(names) if not is_hidden(name))
