"""The YouTube-VOS layout: that of MOSE, with a meta.json that lists the objects of each video.

https://youtube-vos.org/dataset/vos. Videos have 30 frames per second, every 5th is annotated. `train` and `valid`
contain only the annotated ones; `train_all_frames` and `valid_all_frames` have all. In `valid`, each object is
annotated only on its first frame, although more frames are listed: its mask is unknown on all others.

    {"videos": {"<video>": {"objects": {"1": {"category": "cat", "frames": ["00000", "00005", ...]}}}}}
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from sam2_ros.data import label_folders
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, DataWarning
from sam2_ros.data.coco_writer import UNLABELLED
from sam2_ros.data.images import SUFFIXES, image_files
from sam2_ros.data.json_file import read_json
from sam2_ros.data.labels import MAX_ID, label_files
from sam2_ros.data.left_out import LeftOut
from sam2_ros.data.natural_order import natural

RATE = 30.0
"""Frame rate of the videos, by which files are numbered."""
MAX_STEP = 3000
"""Maximum difference of the numbers of two frames; larger steps are stamps."""


def clips(root: str | Path, images: str | Path | None = None, mask_values: str | None = None) -> Clips:
    """All videos of meta.json.

    Args:
        root: the folder that contains meta.json, JPEGImages and Annotations.
        images: folder to use instead of JPEGImages, such as that of `train_all_frames`.
        mask_values: meaning of the values, if ambiguous; see `label_values`.

    Raises:
        ClipError: a file is missing or damaged.
    """
    root = Path(root)
    meta = root / "meta.json"
    videos = read_json(meta, {"videos": dict})["videos"]
    if not videos:
        raise ClipError(meta, "lists no videos")
    objects: dict[str, _Objects] = {}
    omitted = LeftOut()
    for video, entry in videos.items():
        try:
            objects[video] = _objects(meta, video, entry)
        except ClipError as error:
            if len(videos) == 1:
                raise
            omitted.add("videos with an invalid description", f"{video}: {error.problem}")
    if not objects:
        raise ClipError(meta, f"has no valid description of a video: {omitted}")
    if omitted:
        warnings.warn(f"{meta}: left out {omitted}", DataWarning, stacklevel=2)
    return Clips(
        sorted(objects, key=natural), partial(_read, root, Path(images or root / "JPEGImages"), objects, mask_values)
    )


def read(root: str | Path, video: str, images: str | Path | None = None, mask_values: str | None = None) -> Clip:
    """Read one video; see `clips`. Frames and masks are decoded lazily."""
    every = clips(root, images, mask_values)
    if video not in every.names:
        raise ClipError(Path(root) / "meta.json", f"has no video {video!r}")
    return every[every.names.index(video)]


class _Objects(NamedTuple):
    """Those of one video, by ID."""

    frames: dict[int, tuple[str, ...]]
    """Names of the frames with each."""
    labels: dict[int, str]
    """Their categories; those without one are left out."""
    attributes: dict[int, dict[str, Any]]


def _objects(meta: Path, video: str, entry: dict) -> _Objects:
    try:
        described = {int(object_id): value for object_id, value in entry["objects"].items()}
        frames = {key: tuple(_stem(frame) for frame in value["frames"]) for key, value in described.items()}
        labels = {key: str(value["category"]) for key, value in described.items() if value.get("category")}
        attributes = {key: dict(value["attributes"]) for key, value in described.items() if value.get("attributes")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ClipError(meta, f"video {video!r} has an invalid description: {error!r}") from error
    if not all(0 < object_id <= MAX_ID for object_id in frames):
        raise ClipError(meta, f"video {video!r}: object IDs must be 1 to {MAX_ID}, not {sorted(frames)}")
    labels = {key: label for key, label in labels.items() if label != UNLABELLED}
    return _Objects(dict(sorted(frames.items())), labels, attributes)


def _stem(frame: str | int) -> str:
    """The stem of a frame that is listed by number, or by the name of its file."""
    if isinstance(frame, int):
        return f"{frame:05d}"
    name = PurePath(frame)
    return name.stem if name.suffix.lower() in SUFFIXES else name.name


def _read(root: Path, images: Path, objects: dict[str, _Objects], mask_values: str | None, video: str) -> Clip:
    frames, labels, attributes = objects[video]
    files = image_files(images / video)
    stems = [file.stem for file in files]
    listed = {stem for stems in frames.values() for stem in stems}
    for stem in sorted(listed - set(stems), key=natural):
        raise ClipError(files[0].with_name(stem + files[0].suffix), "the file is missing, but meta.json lists it")
    numbers = [int(stem) for stem in stems if stem.isdecimal()]
    step = int(np.diff(numbers).min()) if len(numbers) > 1 else 1
    step = step if 0 < step < MAX_STEP else 1  # the names are stamps
    ids = tuple(frames)
    clip = label_folders.read(video, files, root / "Annotations" / video, RATE / step, ids, mask_values)
    clip = replace(clip, labels=labels or None, attributes=attributes or None)
    if listed <= label_files(root / "Annotations" / video).keys():
        return clip
    known = np.zeros((len(files), len(ids)), bool)
    for index, masks in enumerate(clip.masks):
        if masks is not None:
            known[index] = masks.any(axis=(1, 2))
    return replace(clip, known=known)


def write(clips: Iterable[Clip], root: str | Path, quality: int = 95) -> None:
    """Write JPEG frames, palette PNGs and meta.json. Where objects overlap, the higher ID wins.

    Frames are numbered at 30 per second, so rates of 30, 15, 10, 6, 5, ... frames per second are kept, and others are
    rounded to the nearest of these. Labels become categories, "object" without one. Frames on which a mask is unknown
    are not annotated. Raises ValueError for an object ID above 254, which the format cannot hold, and OSError.
    """
    root, videos = Path(root), {}
    for clip in clips:
        step = max(1, round(RATE / clip.fps))
        label_folders.write(clip, root / "JPEGImages" / clip.name, root / "Annotations" / clip.name, quality, step)
        frames: dict[int, list[str]] = {object_id: [] for object_id in clip.object_ids}
        for index, masks in enumerate(clip.masks):
            if masks is None or not clip.is_complete(index):
                continue
            for object_id, mask in zip(clip.object_ids, masks, strict=True):
                if mask.any() or frames[object_id]:  # from the first frame on which it is visible
                    frames[object_id].append(f"{index * step:05d}")
        labels, attributes = clip.labels or {}, clip.attributes or {}
        objects = {
            str(key): {
                "category": labels.get(key) or UNLABELLED,
                "frames": value,
                **({"attributes": dict(attributes[key])} if attributes.get(key) else {}),
            }
            for key, value in frames.items()
        }
        videos[clip.name] = {"objects": objects}
    (root / "meta.json").write_text(json.dumps({"videos": videos}))
