"""Still images with masks: COCO's JSON of `images` and `annotations`, https://cocodataset.org/#format-data.

Each image is a clip of one frame. Its objects are numbered from 1, in the order of their annotations' IDs. Regions of
a crowd (`iscrowd`) are no objects, and annotations without a segmentation are passed over; so are images that have
none left.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as pycocotools

from sam2_ros.data import coco_rle
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, Lazy
from sam2_ros.data.images import read_image, write_jpeg
from sam2_ros.data.json_file import Keys, check_keys, read_json
from sam2_ros.data.natural_order import natural

_IMAGE: Keys = {"id": (int, str), "file_name": str, "height": int, "width": int}
_ANNOTATION: Keys = {"id": (int, str), "image_id": (int, str)}


def clips(file: str | Path, images: str | Path | None = None) -> Clips:
    """The images of a COCO file that have an object, named as their files without suffix ("/" becomes "-").

    Args:
        file: the JSON.
        images: the folder that the file names are relative to. None: looked for beside the JSON.

    Raises:
        ClipError: a file is missing or damaged.
    """
    file = Path(file)
    content = read_json(file, {"images": list, "annotations": list})
    if not content["images"]:
        raise ClipError(file, "lists no images")
    entries: dict[Any, dict[str, Any]] = {}
    for index, image in enumerate(content["images"]):
        check_keys(file, image, _IMAGE, f"images[{index}]")
        entries[image["id"]] = {"image": image, "annotations": []}
    for index, annotation in enumerate(content["annotations"]):
        check_keys(file, annotation, _ANNOTATION, f"annotations[{index}]")
        if annotation["image_id"] not in entries:
            raise ClipError(file, f"annotations[{index}]: there is no image {annotation['image_id']!r}")
        if annotation.get("segmentation") and not annotation.get("iscrowd"):
            entries[annotation["image_id"]]["annotations"].append(annotation)
    folder = Path(images) if images else _folder(file, content["images"][0]["file_name"])
    named: dict[str, dict[str, Any]] = {}
    for entry in entries.values():
        if entry["annotations"]:
            file_name = entry["image"]["file_name"]
            first = named.setdefault(_name(file_name), entry)
            if first is not entry:
                other = first["image"]["file_name"]
                raise ClipError(file, f"images {other} and {file_name} would have the same name: rename one of them")
    if not named:
        raise ClipError(file, "none of its images has an annotation with a segmentation")
    return Clips(list(named), partial(_read, file, folder, named))


def _name(file_name: str) -> str:
    return str(PurePosixPath(file_name).with_suffix("")).replace("/", "-")


def _folder(file: Path, name: str) -> Path:
    """Where images usually are: beside the JSON, in images/, in <split>/ if it is called instances_<split>.json."""
    above = file.parent.parent
    split = file.stem.rpartition("_")[2]
    candidates = [file.parent, file.parent / "images", above, above / "images", above / split, above / "images" / split]
    for folder in candidates:
        if (folder / name).is_file():
            return folder
    places = ", ".join(str(folder) for folder in candidates)
    raise ClipError(file, f"its image {name} is in none of {places}: say which folder the images are in")


def _read(file: Path, folder: Path, entries: dict[str, dict[str, Any]], name: str) -> Clip:
    image, annotations = entries[name]["image"], entries[name]["annotations"]
    annotations = sorted(annotations, key=lambda annotation: natural(str(annotation["id"])))
    size = (image["height"], image["width"])

    def masks(frame: int) -> np.ndarray:
        here = np.zeros((len(annotations), *size), bool)
        for row, annotation in enumerate(annotations):
            try:
                here[row] = segment(annotation["segmentation"], size)
            except ValueError as error:
                problem = f"annotation {annotation['id']} (image {image['file_name']}): {error}"
                raise ClipError(file, problem, frame) from error
        return here

    def pixels(frame: int) -> np.ndarray:
        picture = folder / image["file_name"]
        found = read_image(picture, frame)
        if found.shape[:2] != size:
            problem = f"is {found.shape[1]} x {found.shape[0]} pixels, {file.name} says {size[1]} x {size[0]}"
            raise ClipError(picture, problem, frame)
        return found

    return Clip(name, Lazy(1, pixels), tuple(range(1, len(annotations) + 1)), Lazy(1, masks))


def segment(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """The mask of a COCO segmentation, bool [H, W].

    Args:
        segmentation: run lengths in either form, or polygons [[x, y, x, y, ...], ...], whose union it is.
        size: height and width of the image.

    Raises:
        ValueError: it is neither, or of another size.
    """
    if isinstance(segmentation, dict):
        return coco_rle.decode(segmentation, size)
    for polygon in segmentation if isinstance(segmentation, list) else [None]:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a segmentation must be run lengths or a list of polygons [x, y, x, y, x, y, ...]")
        if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in polygon):
            raise ValueError("a polygon has a coordinate that is no number")
    if not segmentation:
        raise ValueError("there is no polygon in the segmentation")
    return pycocotools.decode(pycocotools.merge(pycocotools.frPyObjects(segmentation, *size))).astype(bool)


def write(clips: Iterable[Clip], root: str | Path, quality: int = 95) -> None:
    """Writes annotations.json, and the annotated frames as images/<name>.jpg, or <name>-00000.jpg of several in a clip.

    Masks are written as run lengths; objects that can't be seen are left out. Raises OSError.
    """
    root = Path(root)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for clip in clips:
        for index, (frame, masks) in enumerate(zip(clip.frames, clip.masks, strict=True)):
            if masks is None:
                continue
            name = f"{clip.name}.jpg" if len(clip) == 1 else f"{clip.name}-{index:05d}.jpg"
            write_jpeg(root / "images" / name, frame, quality)
            height, width = frame.shape[:2]
            images.append({"id": len(images) + 1, "file_name": name, "height": height, "width": width})
            for mask in masks:
                if not mask.any():
                    continue
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": len(images),
                        "category_id": 1,
                        "segmentation": coco_rle.encode(mask),
                        "area": int(mask.sum()),
                        "bbox": list(cv2.boundingRect(mask.view(np.uint8))),
                        "iscrowd": 0,
                    }
                )
    categories = [{"id": 1, "name": "object", "supercategory": ""}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    root.mkdir(parents=True, exist_ok=True)
    (root / "annotations.json").write_text(json.dumps(content))
