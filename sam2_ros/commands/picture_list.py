"""The pictures that a user names, one by one or by folders, and a name for what is written of each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sam2_ros.data.images import SUFFIXES
from sam2_ros.data.natural_order import natural


@dataclass(frozen=True)
class Picture:
    path: Path
    name: str
    """Its path below the folder of all pictures, with slashes."""
    output: Path
    """The same without its suffix, unless another picture has that name: where what is made of it belongs."""


@dataclass(frozen=True)
class PictureList:
    folder: Path
    """The folder that holds all of them, at some depth."""
    pictures: tuple[Picture, ...]

    @classmethod
    def of(cls, paths: Sequence[Path], left_out: Path) -> PictureList:
        """The pictures that are named and those in folders that are named, with all folders in these, each once.

        Args:
            paths: files of any name, and folders. Hidden files are left out of folders, others than pictures too.
            left_out: a folder that isn't searched, unless it is named itself: that of the results.

        Raises:
            ValueError: there is no such file, or no picture at all.
        """
        if missing := next((path for path in paths if not path.exists()), None):
            raise ValueError(f"{missing}: there is no such file or folder")
        found: dict[Path, Path] = {}
        for path in paths:
            for file in _files(path, left_out.resolve()) if path.is_dir() else [path]:
                found.setdefault(Path(os.path.abspath(file)), file)
        if not found:
            where = ", ".join(map(str, paths))
            raise ValueError(f"{where}: there are no pictures ({', '.join(sorted(SUFFIXES))})")
        folders = [path if path.is_dir() else path.parent for path in paths]
        folder = Path(os.path.commonpath([os.path.abspath(path) for path in folders]))
        names = [path.relative_to(folder) for path in found]
        stems = Counter(name.with_suffix("") for name in names)
        pictures = [
            Picture(file, name.as_posix(), name if stems[name.with_suffix("")] > 1 else name.with_suffix(""))
            for file, name in zip(found.values(), names, strict=True)
        ]
        return cls(folder, tuple(pictures))


def _files(folder: Path, left_out: Path) -> Iterator[Path]:
    """Pictures in a folder, then those in each folder below it, in natural order."""
    for parent, folders, files in os.walk(folder):
        if parent != str(folder) and Path(parent).resolve() == left_out:
            folders.clear()
            continue
        folders[:] = sorted((name for name in folders if name[0] != "."), key=lambda name: natural(Path(name)))
        paths = [Path(parent, name) for name in files if name[0] != "." and Path(name).suffix.lower() in SUFFIXES]
        yield from sorted(paths, key=natural)
