"""Another tracker's predicted masks of a clip, as PNG files.

There are two layouts, which are recognised by the content of a clip's folder:

- label images: <clip>/00000.png, each pixel the ID of its object, or its colour (DAVIS, MOSE, YouTube-VOS);
- a folder for each object: <clip>/000/00000.png, where any pixel that isn't 0 belongs to it (SA-V). The folders'
  numbers are the objects' IDs, or one less (SA-V counts from 0).

The meaning of values is detected as in a data set (`label_values`); soft masks, such as probabilities, are thresholded
at half.

A file has the name of its frame in the data set. Without such files, as in a video or a synthetic scene, the number in
the name is the frame's index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.image_sequence import ImageFiles
from sam2_ros.data.label_values import LabelValues, decide
from sam2_ros.data.labels import VOID, distinct, label_files, read_labels
from sam2_ros.data.object_folders import ObjectFolder
from sam2_ros.evaluation.vos import stamp
from sam2_ros.tracking.masklet import Frame, Masklet

Reader = Callable[[int, tuple[int, int]], np.ndarray]
"""Function of the index, and the height and width, of a frame that reads its masks, bool [N, H, W]."""

DEFAULT_VALUES = LabelValues((), ())
"""Values of written files if a clip has no mask files: IDs with DAVIS' palette, or in 16 bits above 254."""


def read_masks(root: str | Path, clip: Clip, mask_values: str | None = None) -> Iterator[Frame]:
    """Read the masks in `root`/<name of the clip>, one `Frame` for each frame. Empty masks mean absent.

    Only annotated frames are read. The first frame's file may be missing, as trackers are prompted there.

    Args:
        mask_values: meaning of the values, if ambiguous; see `label_values`.

    Raises:
        ClipError: a file or folder is missing, damaged, of another size, or has objects that the clip lacks.
    """
    folder = Path(root) / clip.name
    if not folder.is_dir():
        raise ClipError(folder, "the folder with this clip's masks is missing")
    if any(path.is_dir() for path in folder.iterdir()):
        read = _object_folders(folder, clip, mask_values)
    elif label_files(folder):
        read = _label_images(folder, clip, mask_values)
    else:
        raise ClipError(folder, "contains neither PNG files nor a folder for each object")
    for index, truth in enumerate(clip.masks):
        masks = np.zeros((0, 0, 0), bool) if truth is None else read(index, truth.shape[1:])
        masklets = tuple(
            Masklet(object_id, "", bool(mask.any()), float(mask.any()), 1.0, mask)
            for object_id, mask in zip(clip.object_ids, masks, strict=truth is not None)
        )
        height, width = masks.shape[1:]
        yield Frame(stamp(clip, index), height, width, masklets)


def write_masks(root: str | Path, clip: Clip, index: int, frame: Frame) -> None:
    """Write predicted masks below `root`/<name of the clip>, with the names and values of the clip's own files.

    Tools that compare files then find the same objects in both. Objects without a masklet get empty masks. Where
    objects overlap in one file, the higher ID wins. Raises ValueError for an object ID that does not fit, and OSError.
    """
    masks = np.zeros((len(clip.object_ids), frame.height, frame.width), bool)
    for mask, object_id in zip(masks, clip.object_ids, strict=True):
        if (masklet := frame.masklet(object_id)) is not None:
            mask[:] = masklet.mask
    (clip.mask_files or DEFAULT_VALUES).write(Path(root) / clip.name, frame_names(clip)[index], clip.object_ids, masks)


def frame_names(clip: Clip) -> list[str]:
    """Names of a clip's frames without suffix: those of its files, or the index in five digits."""
    if isinstance(clip.frames, ImageFiles):
        return [file.stem for file in clip.frames.files]
    return [f"{index:05d}" for index in range(len(clip))]


def _label_images(folder: Path, clip: Clip, mask_values: str | None) -> Reader:
    """Reader of one file for each frame. A single object may have the value 255, or be a soft mask."""
    files, ids = _files(folder, clip), np.array(clip.object_ids)[:, None, None]
    values: LabelValues | None = None

    def values_for(size: tuple[int, int]) -> LabelValues:
        paths = {index: file for index, file in enumerate(files.paths) if file is not None}
        like = clip.mask_files if isinstance(clip.mask_files, LabelValues) else None
        return decide(folder, paths, size, mask_values, like)

    def read(index: int, size: tuple[int, int]) -> np.ndarray:
        nonlocal values
        file = files[index]
        if file is None:
            return np.zeros((len(ids), *size), bool)
        image = read_labels(file, size, index)
        if image.palette is not None and mask_values is None and set(distinct(image.pixels)) <= {0, *clip.object_ids}:
            return image.pixels == ids
        values = values or values_for(size)
        if len(ids) == 1 and (values.threshold is not None or values.values == (VOID,)):
            return values.masks(image)
        values = values.of(clip.object_ids)
        unknown = values.unknown(image)
        if values.threshold is not None or unknown:
            content = "one object with soft edges" if values.threshold is not None else values.named(min(unknown))
            raise ClipError(file, f"has {content}, but the clip's objects are {_list(clip.object_ids)}", index)
        return values.masks(image)

    return read


def _object_folders(folder: Path, clip: Clip, mask_values: str | None) -> Reader:
    """Reader of one file for each frame and object."""
    folders = {int(path.name): path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()}
    for shift in (0, 1):
        if sorted(number + shift for number in folders) == list(clip.object_ids):
            break
    else:
        problem = f"has folders of objects {_list(sorted(folders))}, but the clip's are {_list(clip.object_ids)}"
        raise ClipError(folder, problem)
    files = [_files(folders[object_id - shift], clip) for object_id in clip.object_ids]
    objects = [
        ObjectFolder(one.folder, {index: file for index, file in enumerate(one.paths) if file is not None}, mask_values)
        for one in files
    ]

    def read(index: int, size: tuple[int, int]) -> np.ndarray:
        missing = [one[index] is None for one in files]
        masks = [None if absent else one.mask(index, size) for absent, one in zip(missing, objects, strict=True)]
        return np.stack([np.zeros(size, bool) if mask is None else mask for mask in masks])

    return read


def _files(folder: Path, clip: Clip) -> _Files:
    """The PNG of each frame."""
    names = frame_names(clip)
    pngs = label_files(folder)
    numbers = {int(stem): path for stem, path in pngs.items() if stem.isdecimal()}
    paths = [pngs.get(name) or (numbers.get(int(name)) if name.isdecimal() else None) for name in names]
    return _Files(folder, names, paths)


@dataclass(frozen=True)
class _Files:
    folder: Path
    names: Sequence[str]
    paths: Sequence[Path | None]

    def __getitem__(self, index: int) -> Path | None:
        """The file of a frame; None if the first frame has none. Raises ClipError for other frames."""
        if index and self.paths[index] is None:
            problem = "the file is missing; write an all-zero mask where nothing is visible"
            raise ClipError(self.folder / f"{self.names[index]}.png", problem, index)
        return self.paths[index]


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
