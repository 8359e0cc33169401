"""Clips from a folder or file of any supported layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, Joined, from_list
from sam2_ros.data.hidden import files_below, is_hidden
from sam2_ros.data.json_file import read_json
from sam2_ros.data.natural_order import natural
from sam2_ros.requirements import how_to_install


class Hints(NamedTuple):
    """Hints for reading data sets whose files are ambiguous."""

    images: str | None = None
    """Topic of a bag with several, see `bag.read`; or folder of the images that COCO, SA-1B or YouTube-VOS list."""
    masklets: str | None = None
    """Topic of a bag with several."""
    mask_values: str | None = None
    """Meaning of the values in mask files, see `label_values`."""

    @property
    def folder(self) -> Path | None:
        """Folder of images. Raises ClipError if it is missing."""
        if self.images is not None and not Path(self.images).is_dir():
            raise ClipError(self.images, "no such folder of images (--images)")
        return None if self.images is None else Path(self.images)


def open_clips(
    path: str | Path, images: str | None = None, masklets: str | None = None, mask_values: str | None = None
) -> Clips:
    """Open the clips in a folder or file; the layout is detected.

    Args:
        path: folder or file.
        images, masklets, mask_values: see `Hints`.

    Raises:
        ClipError: the layout is unknown (the message lists the known ones), or the data set is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise ClipError(path, "no such file or folder")
    try:
        for _, finds, opens in _LAYOUTS:
            if (found := finds(path)) is not None:
                return opens(found, Hints(images, masklets, mask_values))
    except ModuleNotFoundError as error:
        raise ClipError(path, f"cannot be read: {how_to_install(error.name or '?')}") from error
    known = "\n".join(f"  {description}" for description, _, _ in _LAYOUTS)
    raise ClipError(path, f"unknown layout. Known layouts:\n{known}")


def open_all(
    paths: Sequence[str | Path],
    names: str | Path | None = None,
    images: str | None = None,
    masklets: str | None = None,
    mask_values: str | None = None,
) -> Sequence[Clip]:
    """Open the clips of several folders or files, one after the other.

    Args:
        paths: folders or files.
        names: a text file with the names of clips, one per line; None: all.
        images, masklets, mask_values: see `Hints`.

    Raises:
        ClipError: see `open_clips` and `from_list`.
    """
    data_sets = [open_clips(path, images, masklets, mask_values) for path in paths]
    if names is not None:
        data_sets = from_list(names, data_sets, ", ".join(map(str, paths)))
    return Joined(data_sets)


def _module(name: str) -> Any:
    """Import a module of this package lazily, as each format may need other packages."""
    return import_module(f"sam2_ros.data.{name}")


def _with_paths(*parts: str) -> Callable[[Path], Path | None]:
    """Finder of a folder that contains all of these glob patterns."""
    return lambda path: path if path.is_dir() and all(any(path.glob(part)) for part in parts) else None


def _youtube_vos(path: Path) -> Path | None:
    """Other data sets have a meta.json, too. A damaged one is accepted here, and reported when it is read."""
    if not (path / "JPEGImages").is_dir() or not (path / "meta.json").is_file():
        return None
    try:
        return path if "videos" in read_json(path / "meta.json", {}) else None
    except ClipError:
        return path


def _davis(path: Path, hints: Hints) -> Clips:
    """Clips in the first available resolution."""
    resolutions = [folder.name for folder in path.glob("JPEGImages/*") if folder.name in _RESOLUTIONS]
    resolution = min(resolutions, key=_RESOLUTIONS.index)
    return _module("davis").clips(path, resolution, mask_values=hints.mask_values)


_RESOLUTIONS = ("480p", "1080p", "Full-Resolution")


def _is_davis(path: Path) -> Path | None:
    return path if any((path / "JPEGImages" / name).is_dir() for name in _RESOLUTIONS) else None


def _bag(path: Path) -> Path | None:
    patterns = ("metadata.yaml", "*/metadata.yaml", "*.mcap", "*.db3")
    return path if path.suffix in (".mcap", ".db3") or any(any(path.glob(pattern)) for pattern in patterns) else None


def _sav(path: Path) -> Path | None:
    if path.suffix.lower() == ".mp4":
        return path if path.with_name(f"{path.stem}_manual.json").is_file() else None
    return path if any(file.name.endswith("_manual.json") for file in files_below(path)) else None


def _coco(path: Path) -> Path | None:
    """The JSON file, or the one in a folder."""
    if path.is_file():
        return path if path.suffix.lower() == ".json" else None
    for names in (("annotations.json", "_annotations.coco.json", "annotations/instances_*.json"), ("result.json",)):
        files = [file for name in names for file in sorted(path.glob(name), key=natural) if not is_hidden(file.name)]
        if files:
            return _only(path, files)
    others = [file for name in ("*.json", "annotations/*.json", "*/_annotations.coco.json") for file in path.glob(name)]
    files = [file for file in sorted(others, key=natural) if not is_hidden(file.name) and _lists_images(file)]
    return _only(path, files) if files else None


def _only(path: Path, files: list[Path]) -> Path:
    if len(files) > 1:
        raise ClipError(path, f"has several lists of images: open one of {', '.join(map(str, files))}")
    return files[0]


def _lists_images(file: Path) -> bool:
    """Whether a JSON file begins like COCO's."""
    with file.open("rb") as opened:
        return re.search(rb'"(images|annotations|categories|licenses)"\s*:\s*\[', opened.read(_BEGINNING)) is not None


_BEGINNING = 2**16


# Description, finder (the path to open, or None), opener; the first match counts.
_LAYOUTS: list[tuple[str, Callable[[Path], Path | None], Callable[[Path, Hints], Clips]]] = [
    (
        "SA-V val and test: folders JPEGImages_24fps and Annotations_6fps",
        _with_paths("JPEGImages_24fps"),
        lambda path, hints: _module("sav_frames").clips(path, hints.mask_values),
    ),
    (
        "YouTube-VOS: folders JPEGImages and Annotations, meta.json",
        _youtube_vos,
        lambda path, hints: _module("youtube_vos").clips(path, hints.folder, hints.mask_values),
    ),
    ("DAVIS: folders JPEGImages/480p (1080p, Full-Resolution) and Annotations/480p", _is_davis, _davis),
    (
        "MOSE: folders JPEGImages/<video> and Annotations/<video>",
        _with_paths("JPEGImages/*/"),
        lambda path, hints: _module("mose").clips(path, hints.mask_values),
    ),
    (
        "rosbag: a folder with metadata.yaml, a file .mcap or .db3, or a folder of them",
        _bag,
        lambda path, hints: _module("bag").clips(path, hints.images, hints.masklets),
    ),
    (
        "SA-V training: a video <id>.mp4 or a folder of them, each with <id>_manual.json",
        _sav,
        lambda path, hints: _module("sav").clips(path),
    ),
    (
        "SA-1B: a folder of images, each with a JSON of its name, or a folder of such folders",
        lambda path: path if _module("sa1b").find(path) else None,
        lambda path, hints: _module("sa1b").clips(path, hints.folder),
    ),
    (
        "COCO: a file .json, or a folder with annotations.json, annotations/instances_<split>.json or the like",
        _coco,
        lambda path, hints: _module("coco").clips(path, hints.folder),
    ),
]
