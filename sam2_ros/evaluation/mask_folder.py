"""Masks that another tracker has left as PNG files, as answers to a clip.

Two layouts, told apart by what is in a clip's folder:

- label images: <clip>/00000.png, each pixel the ID of its object, or its colour (DAVIS, MOSE, YouTube-VOS);
- a folder for each object: <clip>/000/00000.png, where any pixel that isn't 0 belongs to it (SA-V). The folders'
  numbers are the objects' IDs, or one less (SA-V counts from 0).

What the values mean is found out as in a data set; levels of a soft mask, such as probabilities, count from half on.

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
from sam2_ros.data.label_values import LabelValues, decide
from sam2_ros.data.labels import VOID, distinct, label_files, read_labels
from sam2_ros.data.object_folders import ObjectFolder
from sam2_ros.data.video import ImageFiles
from sam2_ros.evaluation.vos import stamp
from sam2_ros.tracking.masklet import Frame, Masklet

Reader = Callable[[int, tuple[int, int]], np.ndarray]
"""Gives the masks, bool [N, H, W], of the frame with an index, and of a size."""


USUAL = LabelValues((), ())
"""What is written where a clip has no files of masks: IDs with DAVIS' palette, above 254 with 16 bits."""


def read_masks(root: str | Path, clip: Clip, mask_values: str | None = None) -> Iterator[Frame]:
    """The masks in `root`/<name of the clip>, one answer for each frame. An object is present where its mask is.

    Only frames whose truth is known are read. The first frame's file may be missing: there, trackers are told.

    Args:
        mask_values: what the values are, if they don't tell it themselves; see `label_values`.

    Raises:
        ClipError: a file or folder is missing, damaged, of another size, or is about objects that the clip lacks.
    """
    folder = Path(root) / clip.name
    if not folder.is_dir():
        raise ClipError(folder, "the folder with this clip's masks is missing")
    if any(path.is_dir() for path in folder.iterdir()):
        read = _object_folders(folder, clip, mask_values)
    elif label_files(folder):
        read = _label_images(folder, clip, mask_values)
    else:
        raise ClipError(folder, "there is neither a PNG in it nor a folder for each object")
    for index, truth in enumerate(clip.masks):
        masks = np.zeros((0, 0, 0), bool) if truth is None else read(index, truth.shape[1:])
        masklets = tuple(
            Masklet(object_id, "", bool(mask.any()), float(mask.any()), 1.0, mask)
            for object_id, mask in zip(clip.object_ids, masks, strict=truth is not None)
        )
        height, width = masks.shape[1:]
        yield Frame(stamp(clip, index), height, width, masklets)


def write_masks(root: str | Path, clip: Clip, index: int, frame: Frame) -> None:
    """Writes an answer below `root`/<name of the clip>, with names and values as those of the clip's own files.

    So tools that compare files find the same objects in both. Objects that the answer lacks have empty masks. Where
    objects overlap in one file, the higher ID wins. Raises ValueError for an object ID that does not fit, and OSError.
    """
    masks = np.zeros((len(clip.object_ids), frame.height, frame.width), bool)
    for mask, object_id in zip(masks, clip.object_ids, strict=True):
        if (masklet := frame.masklet(object_id)) is not None:
            mask[:] = masklet.mask
    (clip.mask_files or USUAL).write(Path(root) / clip.name, frame_names(clip)[index], clip.object_ids, masks)


def frame_names(clip: Clip) -> list[str]:
    """The names of a clip's frames, without a suffix: of its files, or the index in five digits."""
    if isinstance(clip.frames, ImageFiles):
        return [file.stem for file in clip.frames.files]
    return [f"{index:05d}" for index in range(len(clip))]


def _label_images(folder: Path, clip: Clip, mask_values: str | None) -> Reader:
    """Reads the masks of a frame from one file. A clip's only object may be 255 there, or the levels of a soft mask."""
    files, ids = _files(folder, clip), np.array(clip.object_ids)[:, None, None]
    values: LabelValues | None = None

    def look(size: tuple[int, int]) -> LabelValues:
        found = {index: file for index, file in enumerate(files.found) if file is not None}
        like = clip.mask_files if isinstance(clip.mask_files, LabelValues) else None
        return decide(folder, found, size, mask_values, like)

    def read(index: int, size: tuple[int, int]) -> np.ndarray:
        nonlocal values
        file = files[index]
        if file is None:
            return np.zeros((len(ids), *size), bool)
        image = read_labels(file, size, index)
        if image.palette is not None and mask_values is None and set(distinct(image.pixels)) <= {0, *clip.object_ids}:
            return image.pixels == ids
        values = values or look(size)
        if len(ids) == 1 and (values.threshold is not None or values.values == (VOID,)):
            return values.masks(image)
        values = values.of(clip.object_ids)
        strangers = values.strangers(image)
        if values.threshold is not None or strangers:
            what = "one object with soft edges" if values.threshold is not None else values.named(min(strangers))
            raise ClipError(file, f"has {what}, but the clip's objects are {_list(clip.object_ids)}", index)
        return values.masks(image)

    return read


def _object_folders(folder: Path, clip: Clip, mask_values: str | None) -> Reader:
    """Reads the masks of a frame from one file for each object."""
    folders = {int(path.name): path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()}
    for shift in (0, 1):
        if sorted(number + shift for number in folders) == list(clip.object_ids):
            break
    else:
        problem = f"has folders of objects {_list(sorted(folders))}, but the clip's are {_list(clip.object_ids)}"
        raise ClipError(folder, problem)
    files = [_files(folders[object_id - shift], clip) for object_id in clip.object_ids]
    objects = [
        ObjectFolder(one.folder, {index: file for index, file in enumerate(one.found) if file is not None}, mask_values)
        for one in files
    ]

    def read(index: int, size: tuple[int, int]) -> np.ndarray:
        missing = [one[index] is None for one in files]
        masks = [None if gone else one.mask(index, size) for gone, one in zip(missing, objects, strict=True)]
        return np.stack([np.zeros(size, bool) if mask is None else mask for mask in masks])

    return read


def _files(folder: Path, clip: Clip) -> _Files:
    """The PNG of each frame."""
    names = frame_names(clip)
    pngs = label_files(folder)
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
