"""The layout of SA-V's val and test sets: JPEGImages_24fps/<video>/00000.jpg, Annotations_6fps/<video>/000/00000.png.

https://github.com/facebookresearch/sam2/tree/main/sav_dataset. Each object has a folder of its own, so masks may
overlap. The folders are numbered from 0, the objects here from 1. Any pixel that isn't 0 belongs to the object.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from sam2_ros.data import label_folders
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, Lazy
from sam2_ros.data.images import check_masks, image_files, image_size, write_jpeg
from sam2_ros.data.labels import read_labels, write_labels
from sam2_ros.data.video import ImageFiles

IMAGES, ANNOTATIONS = "JPEGImages_24fps", "Annotations_6fps"


def clips(root: str | Path) -> Clips:
    """All videos below `root`, the folder that holds JPEGImages_24fps and Annotations_6fps. Raises ClipError."""
    return Clips(label_folders.videos(Path(root) / IMAGES), partial(read, root))


def read(root: str | Path, video: str) -> Clip:
    """One video; frames and masks decode when they are asked for.

    A frame is annotated where there is a PNG of any object; an object that has none there can't be seen.

    Raises:
        ClipError: a file is missing or damaged.
    """
    files = image_files(Path(root) / IMAGES / video)
    frames = {file.stem: index for index, file in enumerate(files)}
    annotations = Path(root) / ANNOTATIONS / video
    folders = [path for path in annotations.glob("[!.]*") if path.is_dir()]
    if not folders:
        raise ClipError(annotations, "there are no folders of objects in it, or it is missing")
    pngs: dict[int, list[Path | None]] = {}  # of each object, for each frame
    for folder in folders:
        if not folder.name.isdecimal():
            raise ClipError(folder, "the name of an object's folder must be a number")
        of_object = pngs.setdefault(int(folder.name) + 1, [None] * len(files))
        masks_of = list(folder.glob("[!.]*.png"))
        check_masks(files, masks_of)
        for png in masks_of:
            of_object[frames[png.stem]] = png
    size = image_size(files[0], 0)
    object_ids = tuple(sorted(pngs))

    def masks(frame: int) -> np.ndarray | None:
        here = [pngs[object_id][frame] for object_id in object_ids]
        if not any(here):
            return None
        return np.stack([np.zeros(size, bool) if png is None else _mask(png, size, frame) for png in here])

    return Clip(video, ImageFiles(files), object_ids, Lazy(len(files), masks), 24.0)


def _mask(png: Path, size: tuple[int, int], frame: int) -> np.ndarray:
    labels = read_labels(png, size, frame)
    mask = labels > 0
    if (values := np.unique(labels[mask])).size > 1:
        raise ClipError(png, f"holds more than one object (labels {', '.join(map(str, values[:5]))})", frame)
    return mask


def write(clips: Iterable[Clip], root: str | Path, quality: int = 95) -> None:
    """Writes JPEG frames, a PNG for each object and annotated frame, and <root>.txt, the list of videos.

    Object IDs are written one lower, from 0. Nothing checks the rates that the folders' names tell: 24 frames a second
    are read. Raises OSError.
    """
    root, names = Path(root), []
    for clip in clips:
        for index, (frame, masks) in enumerate(zip(clip.frames, clip.masks, strict=True)):
            write_jpeg(root / IMAGES / clip.name / f"{index:05d}.jpg", frame, quality)
            for object_id, mask in zip(clip.object_ids, [] if masks is None else masks, strict=False):
                png = root / ANNOTATIONS / clip.name / f"{object_id - 1:03d}" / f"{index:05d}.png"
                write_labels(png, (1,), mask[None])
        names.append(clip.name)
    (root / f"{root.name}.txt").write_text("".join(f"{name}\n" for name in names))
