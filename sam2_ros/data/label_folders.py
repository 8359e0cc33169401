"""The common layout of DAVIS, MOSE and YouTube-VOS: a folder of JPEG frames and one of label images for each video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Lazy
from sam2_ros.data.hidden import is_hidden
from sam2_ros.data.image_sequence import ImageFiles
from sam2_ros.data.images import check_masks, image_size, write_jpeg
from sam2_ros.data.label_values import LabelValues, decide
from sam2_ros.data.labels import VOID, label_files, read_labels, write_labels
from sam2_ros.data.natural_order import natural

_VALUES: dict[tuple[Path, int, str | None], LabelValues] = {}
"""Cached values by folder, time of its last change, and `mask_values`, since the decision reads all label images."""


def videos(images: Path) -> list[str]:
    """Names of the folders in `images`, in natural order, without hidden ones. Raises ClipError if there are none."""
    folders = [path for path in images.iterdir() if path.is_dir()] if images.is_dir() else []
    names = sorted((folder.name for folder in folders if not is_hidden(folder.name)), key=natural)
    if not names:
        raise ClipError(images, "is missing, or contains no folders of frames")
    return names


def read(
    name: str,
    files: Sequence[Path],
    annotations: Path,
    fps: float,
    ids: Sequence[int] | None = None,
    mask_values: str | None = None,
) -> Clip:
    """Read one video. Frames without a label image are not annotated.

    Args:
        name: name of the clip.
        files: the frames, in order.
        annotations: folder of label images, which have the names of their frames.
        fps: frame rate.
        ids: IDs of the objects. None: all in the label images.
        mask_values: meaning of the values, one of `label_values.MEANINGS`. None: detected.

    Raises:
        ClipError: a file is missing or damaged, or the meaning of values is ambiguous.
    """
    labels = label_files(annotations)
    if not labels:
        raise ClipError(annotations, "contains no annotations (PNG files)")
    check_masks(files, labels.values())
    size = image_size(files[0], 0)
    annotated = {frame: labels[file.stem] for frame, file in enumerate(files) if file.stem in labels}
    values = _label_values(annotations, annotated, size, mask_values, None if ids is None else tuple(ids))

    def masks(frame: int) -> np.ndarray | None:
        if frame not in annotated:
            return None
        image = read_labels(annotated[frame], size, frame)
        if ids is not None and (unknown := set(values.unknown(image)) - {VOID}):
            problem = f"has {values.named(min(unknown))}, but the video's objects are {ids}"
            raise ClipError(annotated[frame], problem, frame)
        return values.masks(image)

    return Clip(name, ImageFiles(files), values.object_ids, Lazy(len(files), masks), fps, mask_files=values)


def _label_values(
    annotations: Path,
    files: Mapping[int, Path],
    size: tuple[int, int],
    meaning: str | None,
    ids: tuple[int, ...] | None,
) -> LabelValues:
    first = next(iter(files.values()))
    if ids is not None and meaning is None:  # values with a palette are always IDs: no need to read all files
        palette = read_labels(first, size, next(iter(files))).palette
        if palette is not None:
            return LabelValues(ids, ids, palette=palette.tobytes())
    key = annotations, max(file.stat().st_mtime_ns for file in files.values()), meaning
    if key not in _VALUES:
        _VALUES[key] = decide(annotations, files, size, meaning)
    return _VALUES[key] if ids is None else _for_objects(annotations, _VALUES[key], ids)


def _for_objects(annotations: Path, values: LabelValues, ids: tuple[int, ...]) -> LabelValues:
    """The values of a video whose objects are known; label images need not show all of them."""
    if len(ids) == 1 and (values.threshold is not None or values.values == (VOID,)):
        return replace(values, object_ids=ids)
    if values.threshold is not None:
        raise ClipError(annotations, f"has masks of one object with soft edges, but the video's objects are {ids}")
    return values.of(ids)


def write(clip: Clip, images: Path, annotations: Path, quality: int, step: int = 1) -> None:
    """Write frames as JPEG and masks as label images, numbered 0, step, 2 * step, ... in five digits.

    Frames on which a mask is unknown get no label image, which would say that its object is not visible.

    Raises:
        ValueError: an object's ID is above 254.
        OSError: a file can't be written.
    """
    for index, (frame, masks) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        write_jpeg(images / f"{index * step:05d}.jpg", frame, quality)
        if masks is not None and clip.is_complete(index):
            write_labels(annotations / f"{index * step:05d}.png", clip.object_ids, masks)
