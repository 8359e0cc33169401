"""Clips from a folder or file, whatever its layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, Joined, from_list
from sam2_ros.requirements import how_to_install


def open_clips(path: str | Path, images: str | None = None, masklets: str | None = None) -> Clips:
    """The clips in a folder or file of any layout that this package reads. Which one it is, its files tell.

    Args:
        images, masklets: topics of bags; see `bag.read`.

    Raises:
        ClipError: it is none of them (the message lists them), or it is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise ClipError(path, "there is no such file or folder")
    for _, finds, opens in _LAYOUTS:
        if (found := finds(path)) is not None:
            return opens(found, images, masklets) if finds is _bag else opens(found)
    looked_for = "\n".join(f"  {description}" for description, _, _ in _LAYOUTS)
    raise ClipError(path, f"the layout is not known. Looked for:\n{looked_for}")


def open_all(
    paths: Sequence[str | Path],
    names: str | Path | None = None,
    images: str | None = None,
    masklets: str | None = None,
) -> Sequence[Clip]:
    """The clips of several folders or files, one after the other.

    Args:
        names: a text file that names the clips to take, one a line; None: all.
        images, masklets: topics of bags; see `bag.read`.

    Raises:
        ClipError: see `open_clips` and `from_list`.
    """
    data_sets = [open_clips(path, images, masklets) for path in paths]
    if names is not None:
        data_sets = from_list(names, data_sets, ", ".join(map(str, paths)))
    return Joined(data_sets)


def _of(module: str) -> Callable[..., Clips]:
    """The `clips` of a module, which is loaded only now: not everyone has the packages for every format."""

    def opened(path: Path, *topics: str | None) -> Clips:
        try:
            reader = import_module(f"sam2_ros.data.{module}")
        except ModuleNotFoundError as error:
            raise ClipError(path, f"cannot be read: {how_to_install(error.name or module)}") from error
        return reader.clips(path, *topics)

    return opened


def _has(*parts: str) -> Callable[[Path], Path | None]:
    """Finds a folder that has all of these (glob patterns) in it."""
    return lambda path: path if path.is_dir() and all(any(path.glob(part)) for part in parts) else None


def _davis(path: Path) -> Clips:
    """In the first of the known resolutions that is there."""
    from sam2_ros.data import davis

    resolutions = [folder.name for folder in path.glob("JPEGImages/*") if folder.name in _RESOLUTIONS]
    return davis.clips(path, min(resolutions, key=_RESOLUTIONS.index))


_RESOLUTIONS = ("480p", "1080p", "Full-Resolution")


def _is_davis(path: Path) -> Path | None:
    return path if any((path / "JPEGImages" / name).is_dir() for name in _RESOLUTIONS) else None


def _bag(path: Path) -> Path | None:
    patterns = ("metadata.yaml", "*/metadata.yaml", "*.mcap", "*.db3")
    return path if path.suffix in (".mcap", ".db3") or any(any(path.glob(pattern)) for pattern in patterns) else None


def _sav(path: Path) -> Path | None:
    if path.suffix == ".mp4":
        return path if path.with_name(f"{path.stem}_manual.json").is_file() else None
    return path if next(path.rglob("*_manual.json"), None) else None


def _coco(path: Path) -> Path | None:
    """The JSON itself, or that of a folder."""
    if path.is_file():
        return path if path.suffix == ".json" else None
    names = ("annotations.json", "_annotations.coco.json", "annotations/instances_*.json")
    found = [file for name in names for file in sorted(path.glob(name))]
    if len(found) > 1:
        raise ClipError(path, f"has more than one list of images: open one of {', '.join(map(str, found))}")
    return found[0] if found else None


# What it looks like, what finds it (the path to open, or None), what opens it; the first that is found counts.
_LAYOUTS: list[tuple[str, Callable[[Path], Path | None], Callable[..., Clips]]] = [
    ("SA-V val and test: folders JPEGImages_24fps and Annotations_6fps", _has("JPEGImages_24fps"), _of("sav_frames")),
    ("YouTube-VOS: folders JPEGImages and Annotations, meta.json", _has("JPEGImages", "meta.json"), _of("youtube_vos")),
    ("DAVIS: folders JPEGImages/480p (1080p, Full-Resolution) and Annotations/480p", _is_davis, _davis),
    ("MOSE: folders JPEGImages/<video> and Annotations/<video>", _has("JPEGImages/*/"), _of("mose")),
    ("rosbag: a folder with metadata.yaml, a file .mcap or .db3, or a folder of them", _bag, _of("bag")),
    ("SA-V training: a video <id>.mp4 or a folder of them, each with <id>_manual.json", _sav, _of("sav")),
    ("COCO: a file .json, or a folder with annotations.json or annotations/instances_<split>.json", _coco, _of("coco")),
]
