"""Search for images that are listed by paths or URLs of another machine."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

_PREFIX = re.compile(r"[0-9a-f]{8}-")
"""Label Studio's prefix of uploaded files."""


class ListedImages:
    """Finds images in folders by the longest matching part of their path, at least by their name.

    Args:
        folders: folders to search, in this order.
        below: searched recursively for a unique file of the name, if no folder has it.
        absolute: accept absolute paths of existing files.
    """

    def __init__(self, folders: Sequence[Path], below: Path, absolute: bool = False) -> None:
        self.folders = list(dict.fromkeys(folders))
        self._below = below
        self._absolute = absolute
        self._names: dict[Path, dict[str, str]] = {}
        self._scattered: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path | None:
        """The file of a listed name; None: not found."""
        if self._absolute and Path(name).is_absolute() and Path(name).is_file():
            return Path(name)
        for parts in _readings(name):
            for start in range(len(parts)):
                for folder in self.folders:
                    if (file := self._in(folder.joinpath(*parts[start:-1]), parts[-1])) is not None:
                        return file
        for parts in _readings(name):
            if len(files := self._everywhere().get(_plain(parts[-1]), [])) == 1:
                return files[0]
        return None

    def _in(self, folder: Path, name: str) -> Path | None:
        """A file of a folder, ignoring case and Unicode normalisation if there is no exact match."""
        if folder not in self._names:
            try:
                with os.scandir(folder) as entries:
                    names = [entry.name for entry in entries if entry.is_file()]
            except (OSError, ValueError):  # a name that no file can have
                names = []
            self._names[folder] = {_plain(file_name): file_name for file_name in names} | {
                file_name: file_name for file_name in names
            }
        by_name = self._names[folder]
        file = by_name.get(name) or by_name.get(_plain(name))
        return folder / file if file else None

    def _everywhere(self) -> dict[str, list[Path]]:
        if self._scattered is None:
            self._scattered = {}
            for folder, _, names in os.walk(self._below):
                for name in names:
                    self._scattered.setdefault(_plain(name), []).append(Path(folder, name))
        return self._scattered


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _readings(name: str) -> list[list[str]]:
    """Possible parts of a path: unchanged; as a URL, without its query or from it; without a prefix."""
    plain = name.replace("\\", "/")
    decoded = unquote(plain)
    texts = [plain, decoded, *decoded.split("?d=")[1:], decoded.partition("?")[0]]
    readings = [[part for part in text.split("/") if part not in ("", ".", "..")] for text in dict.fromkeys(texts)]
    readings = [parts for parts in readings if parts]
    return readings + [[*parts[:-1], _PREFIX.sub("", parts[-1])] for parts in readings if _PREFIX.match(parts[-1])]
