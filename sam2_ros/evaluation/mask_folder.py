"""Masks that another tracker has left as PNG files, as answers to a clip.

Two layouts, told apart by what is in a clip's folder:

- label images: <clip>/00000.png, each pixel the ID of its object (DAVIS, MOSE, YouTube-VOS);
- a folder for each object: <clip>/000/00000.png, where any pixel that isn't 0 belongs to it (SA-V). The folders'
  numbers are the objects' IDs, or one less (SA-V counts from 0).

A file is named like the frame of the data set that it belongs to. Where the data set has no files, as in a video or a
synthetic scene, the number in the name is the frame's index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.labels import read_labels, write_labels
from sam2_ros.data.video import ImageFiles
from sam2_ros.evaluation.vos import stamp
from sam2_ros.tracking.masklet import Frame, Masklet

Reader = Callable[[int, tuple[int, int]], np.ndarray]
"""Gives the masks, bool [N, H, W], of the frame with an index, and of a size."""


def read_masks(root: str | Path, clip: Clip) -> Iterator[Frame]:
    """The masks in `root`/<name of the clip>, one answer for each frame. An object is present where its mask is.

    Only frames whose truth is known are read. The first frame's file may be missing: there, trackers are told.

    Raises:
        ClipError: a file or folder is missing, damaged, of another size, or is about objects that the clip lacks.
    """
    folder = Path(root) / clip.name
    if not folder.is_dir():
        raise ClipError(folder, "the folder with this clip's masks is missing")
    if any(path.is_dir() for path in folder.iterdir()):
        read = _object_folders(folder, clip)
    elif any(folder.glob("*.png")):
        read = _label_images(folder, clip)
    else:
        raise ClipError(folder, "there is neither a PNG in it nor a folder for each object")
    for index, truth in enumerate(clip.masks):
        masks = np.zeros((0, 0, 0), bool) if truth is None else read(index, truth.shape[1:])
        masklets = tuple(
            Masklet(object_id, "", bool(mask.any()), float(mask.any()), 1.0, mask)
            for object_id, mask in zip(clip.object_ids, masks, strict=truth is not None)
        )
        yield Frame(stamp(clip, index), *masks.shape[1:], masklets)


def write_masks(root: str | Path, clip: Clip, index: int, frame: Frame) -> None:
    """Writes an answer as a label image, named like the clip's frame. Where objects overlap, the higher ID wins.

    Raises ValueError for an object ID above 254, and OSError.
    """
    masks = np.zeros((len(frame.masklets), frame.height, frame.width), bool)
    for row, masklet in enumerate(frame.masklets):
        masks[row] = masklet.mask
    ids = [masklet.object_id for masklet in frame.masklets]
    write_labels(Path(root) / clip.name / f"{frame_names(clip)[index]}.png", ids, masks)


def frame_names(clip: Clip) -> list[str]:
    """The names of a clip's frames, without a suffix: of its files, or the index in five digits."""
    if isinstance(clip.frames, ImageFiles):
        return [file.stem for file in clip.frames.files]
    return [f"{index:05d}" for index in range(len(clip))]


def _label_images(folder: Path, clip: Clip) -> Reader:
    """Reads the masks of a frame from one file. A clip's only object may be 255 there (DAVIS 2016)."""
    files, ids = _files(folder, clip), np.array(clip.object_ids)[:, None, None]

    def read(index: int, size: tuple[int, int]) -> np.ndarray:
        file = files[index]
        if file is None:
            return np.zeros((len(ids), *size), bool)
        labels = read_labels(file, size, index)
        strangers = set(np.unique(labels).tolist()) - {0, *clip.object_ids}
        if clip.object_ids == (1,) and strangers == {255}:
            return (labels > 0)[None]
        if strangers:
            problem = f"has label {min(strangers)}, but the clip's objects are {_list(clip.object_ids)}"
            raise ClipError(file, problem, index)
        return labels == ids

    return read


def _object_folders(folder: Path, clip: Clip) -> Reader:
    """Reads the masks of a frame from one file for each object."""
    folders = {int(path.name): path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()}
    for shift in (0, 1):
        if sorted(number + shift for number in folders) == list(clip.object_ids):
            break
    else:
        problem = f"has folders of objects {_list(sorted(folders))}, but the clip's are {_list(clip.object_ids)}"
        raise ClipError(folder, problem)
    files = [_files(folders[object_id - shift], clip) for object_id in clip.object_ids]

    def read(index: int, size: tuple[int, int]) -> np.ndarray:
        here = [of_object[index] for of_object in files]
        return np.stack([np.zeros(size, bool) if png is None else read_labels(png, size, index) > 0 for png in here])

    return read


def _files(folder: Path, clip: Clip) -> _Files:
    """The PNG of each frame."""
    names = frame_names(clip)
    pngs = {path.stem: path for path in folder.glob("*.png")}
    numbers = {int(stem): path for stem, path in pngs.items() if stem.isdecimal()}
    found = [pngs.get(name) or (numbers.get(int(name)) if name.isdecimal() else None) for name in names]
    return _Files(folder, names, found)


@dataclass(frozen=True)
class _Files:
    folder: Path
    names: Sequence[str]
    found: Sequence[Path | None]

    def __getitem__(self, index: int) -> Path | None:
        """None for a first frame without a file. Raises ClipError for another."""
        if index and self.found[index] is None:
            problem = "the file is missing; where nothing is seen, a mask is all 0"
            raise ClipError(self.folder / f"{self.names[index]}.png", problem, index)
        return self.found[index]


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
