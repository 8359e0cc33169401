"""The layout of SA-V's val and test sets: JPEGImages_24fps/<video>/00000.jpg, Annotations_6fps/<video>/000/00000.png.

https://github.com/facebookresearch/sam2/tree/main/sav_dataset. Each object has its own folder, so masks may overlap.
Folders are numbered from 0, objects of clips from 1. For the meaning of pixel values see `object_folders`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from sam2_ros.data import label_folders
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, Lazy
from sam2_ros.data.image_sequence import ImageFiles
from sam2_ros.data.images import check_masks, image_files, image_size, write_jpeg
from sam2_ros.data.labels import label_files, write_labels
from sam2_ros.data.object_folders import ObjectFolder, ObjectFolders

IMAGES, ANNOTATIONS = "JPEGImages_24fps", "Annotations_6fps"


def clips(root: str | Path, mask_values: str | None = None) -> Clips:
    """All videos below `root`, the folder that holds JPEGImages_24fps and Annotations_6fps.

    Args:
        root: the folder.
        mask_values: as in `label_values.decide`.

    Raises:
        ClipError: there are no videos.
    """
    return Clips(label_folders.videos(Path(root) / IMAGES), partial(read, root, mask_values=mask_values))


def read(root: str | Path, video: str, mask_values: str | None = None) -> Clip:
    """Read one video; frames and masks are decoded lazily.

    A frame is annotated if any object has a PNG there; objects without one are not visible.

    Args:
        root, video: as in `clips`.
        mask_values: as in `label_values.decide`.

    Raises:
        ClipError: a file is missing or damaged.
    """
    files = image_files(Path(root) / IMAGES / video)
    frames = {file.stem: index for index, file in enumerate(files)}
    annotations = Path(root) / ANNOTATIONS / video
    folders = [path for path in annotations.glob("[!.]*") if path.is_dir()]
    if not folders:
        raise ClipError(annotations, "is missing, or contains no folders of objects")
    objects: dict[int, ObjectFolder] = {}
    for folder in folders:
        if not folder.name.isdecimal():
            raise ClipError(folder, "the name of an object's folder must be a number")
        labels = label_files(folder)
        check_masks(files, labels.values())
        files_by_frame = {frames[stem]: file for stem, file in labels.items()}
        objects[int(folder.name) + 1] = ObjectFolder(folder, files_by_frame, mask_values)
    size = image_size(files[0], 0)
    object_ids = tuple(sorted(objects))

    def masks(frame: int) -> np.ndarray | None:
        masks_of_frame = [objects[object_id].mask(frame, size) for object_id in object_ids]
        if all(mask is None for mask in masks_of_frame):
            return None
        return np.stack([np.zeros(size, bool) if mask is None else mask for mask in masks_of_frame])

    names = {object_id: objects[object_id].folder.name for object_id in object_ids}
    mask_files = ObjectFolders(annotations, names)
    return Clip(video, ImageFiles(files), object_ids, Lazy(len(files), masks), 24.0, mask_files=mask_files)


def write(clips: Iterable[Clip], root: str | Path, quality: int = 95) -> None:
    """Write JPEG frames, a PNG for each object and annotated frame, and <root>.txt, the list of videos.

    Object IDs are written one lower, from 0. Frame rates are not converted to the 24 per second of the folder's name.
    Raises OSError.
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
