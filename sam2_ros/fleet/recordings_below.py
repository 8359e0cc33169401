"""The recordings in a folder: bags, videos and folders of images, by names that tell them apart."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from sam2_ros.data.bag import SUFFIXES
from sam2_ros.data.hidden import is_hidden
from sam2_ros.data.images import SUFFIXES as IMAGE_SUFFIXES
from sam2_ros.data.natural_order import natural
from sam2_ros.recordings.open_recording import VIDEOS
from sam2_ros.recordings.run_store import STORE

PART = re.compile(r"(.*)_\d+")
"""Name of a file of a bag that was split."""


def recordings_below(paths: Iterable[Path]) -> list[Path]:
    """The recordings at these paths: each is one, or a folder with some, at any depth. In natural order.

    Hidden folders and outputs of earlier runs are left out. What does not exist, or is a file, is returned as it is:
    who opens it says what is wrong with it.
    """
    found = [one for path in paths for one in _below(path.expanduser().absolute(), given=True)]
    return list(dict.fromkeys(found))


def _below(path: Path, given: bool = False) -> list[Path]:
    if not path.is_dir():
        return [path]
    entries = sorted((entry for entry in os.scandir(path) if not is_hidden(entry.name)), key=lambda e: natural(e.name))
    files = [Path(entry.path) for entry in entries if not entry.is_dir()]
    names = {file.name for file in files}
    if STORE in names:
        return [path] if given else []
    bags = [file for file in files if file.suffix in SUFFIXES]
    if "metadata.yaml" in names or _are_parts(bags):
        return [path]
    recordings = bags + [file for file in files if file.suffix.lower() in VIDEOS]
    if not recordings and any(file.suffix.lower() in IMAGE_SUFFIXES for file in files):
        return [path]
    for entry in entries:
        if entry.is_dir():
            recordings += _below(Path(entry.path))
    return recordings


def _are_parts(bags: Sequence[Path]) -> bool:
    """Whether these are the files of one bag, whose metadata.yaml is missing."""
    stems = [PART.fullmatch(file.stem) for file in bags]
    return len(bags) > 1 and all(stems) and len({stem[1] for stem in stems if stem}) == 1


def names_of(paths: Sequence[Path]) -> list[str]:
    """A name for each recording, for its output folder: that of the file or folder, longer where several have the same.

    Raises:
        ValueError: no names tell two of them apart.
    """
    lengths = dict.fromkeys(paths, 0)
    while True:
        names = {path: _name(path, length) for path, length in lengths.items()}
        counts = Counter(names.values())
        several = [path for path, name in names.items() if counts[name] > 1]
        if not several:
            return [names[path] for path in paths]
        if all(lengths[path] >= len(path.parts) for path in several):
            raise ValueError(f"{several[0]} and {several[1]} would have the same output folder; rename one of them")
        for path in several:
            lengths[path] += 1


def _name(path: Path, length: int) -> str:
    """`run1` of `monday/run1.mcap`; with more parts, `run1.mcap`, `monday__run1.mcap`, ..."""
    return "__".join(part.strip("/") for part in path.parts[-length:]) if length else path.stem or path.name
