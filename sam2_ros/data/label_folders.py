"""What DAVIS, MOSE and YouTube-VOS share: for each video a folder of JPEG frames, and one of label images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Lazy
from sam2_ros.data.images import check_masks, image_size, write_jpeg
from sam2_ros.data.labels import MAX_ID, read_labels, write_labels
from sam2_ros.data.natural_order import natural
from sam2_ros.data.video import ImageFiles

_VALUES: dict[tuple[Path, int], list[int]] = {}
"""Of the objects in a folder of label images, by folder and time of the last change: it takes a look into them all."""


def videos(images: Path) -> list[str]:
    """Names of the folders in `images`, in natural order. Raises ClipError where there are none."""
    folders = [path for path in images.iterdir() if path.is_dir()] if images.is_dir() else []
    names = sorted((folder.name for folder in folders if folder.name[0] != "."), key=natural)
    if not names:
        raise ClipError(images, "there is no folder of frames in it, or it is missing")
    return names


def read(name: str, files: Sequence[Path], annotations: Path, fps: float, ids: Sequence[int] | None = None) -> Clip:
    """One video. Frames without a label image are not annotated.

    Args:
        files: the frames, in order.
        annotations: folder with a PNG for each annotated frame, of the frame's name.
        ids: the objects. None: found by a look into every label image, where 255 alone (DAVIS 2016) means object 1, and
            255 beside others (DAVIS 2017) no object.

    Raises:
        ClipError: a file is missing or damaged.
    """
    pngs = {path.stem: path for path in annotations.glob("[!.]*.png")}
    if not pngs:
        raise ClipError(annotations, "there are no annotations (PNG files)")
    check_masks(files, pngs.values())
    size = image_size(files[0], 0)

    def labels(frame: int) -> np.ndarray | None:
        png = pngs.get(files[frame].stem)
        return None if png is None else read_labels(png, size, frame)

    values = list(ids or ())
    if ids is None:
        key = annotations, max(png.stat().st_mtime_ns for png in pngs.values())
        if key not in _VALUES:
            found = np.zeros(256, bool)
            for frame in range(len(files)):
                if (label := labels(frame)) is not None:
                    found |= np.bincount(label.ravel(), minlength=256) > 0
            there = (np.flatnonzero(found[1:]) + 1).tolist()
            _VALUES[key] = [value for value in there if value <= MAX_ID] or there
        values = _VALUES[key]
    wanted = np.array(values, np.uint8)[:, None, None]

    def masks(frame: int) -> np.ndarray | None:
        label = labels(frame)
        if label is not None and ids is not None and (strangers := set(np.unique(label).tolist()) - {0, 255, *ids}):
            raise ClipError(
                pngs[files[frame].stem], f"has label {min(strangers)}, the video's objects are {ids}", frame
            )
        return None if label is None else label == wanted

    return Clip(name, ImageFiles(files), (1,) if values == [255] else tuple(values), Lazy(len(files), masks), fps)


def write(clip: Clip, images: Path, annotations: Path, quality: int, step: int = 1) -> None:
    """Writes the frames as JPEG and the masks as label images, numbered 0, step, 2 * step, ... in five digits.

    Raises:
        ValueError: an object's ID is above 254.
        OSError: a file can't be written.
    """
    for index, (frame, masks) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        write_jpeg(images / f"{index * step:05d}.jpg", frame, quality)
        if masks is not None:
            write_labels(annotations / f"{index * step:05d}.png", clip.object_ids, masks)
