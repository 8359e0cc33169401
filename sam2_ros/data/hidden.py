"""Hidden files and operating systems' own folders, and a walk without them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_SYSTEM = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
"""Folders of macOS archives, Synology thumbnails, and file systems of Windows and Linux."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden (._frame_2.jpg) or an operating system's own."""
    return name.startswith(".") or name in _SYSTEM


def files_below(root: Path) -> Iterator[Path]:
    """All files below a folder, except hidden ones. Links are followed, and each folder is visited once."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # ends circular links, too
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (Path(folder, name) for name in sorted(names) if not is_hidden(name))
