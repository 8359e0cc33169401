"""Still images with masks: COCO's JSON of `images` and `annotations`, https://cocodataset.org/#format-data.

Each image is a clip of one frame. Its objects are numbered from 1, in the order of their annotations' IDs. Crowd
regions (`iscrowd`), annotations without a segmentation, and images without any object are skipped. Annotation tools
deviate from the format: the parser is tolerant, and a warning counts unreadable entries.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import ExifTags

from sam2_ros.data import coco_rle
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, DataWarning, Lazy
from sam2_ros.data.coco_writer import CocoWriter
from sam2_ros.data.images import image_size, opened, read_image, write_jpeg
from sam2_ros.data.json_file import read_json
from sam2_ros.data.left_out import LeftOut
from sam2_ros.data.listed_images import ListedImages
from sam2_ros.data.natural_order import natural

MAX_POLYGON_REACH = 100
"""Maximum reach of polygons, in sizes of their image. Time and memory of drawing grow with their length."""

MISSING = "images that are missing"
NO_MASK = "annotations without a mask"

Masks = list[dict[str, Any] | list[list[float]]]
"""Segmentations that can be drawn."""


class Image(NamedTuple):
    """An entry of `images`."""

    id: str
    name: str
    """Listed file name."""
    size: tuple[int, int] | None
    """Height and width; None: not listed."""


class Annotated(NamedTuple):
    """An image file and its objects."""

    file: Path
    size: tuple[int, int]
    masks: Masks


def clips(file: str | Path, images: str | Path | None = None) -> Clips:
    """The images of a COCO file that have objects, named after their files without suffix ("/" becomes "-").

    A warning lists the omitted entries: missing images, and annotations of unlisted images, without a mask, or with
    an invalid segmentation.

    Args:
        file: the JSON.
        images: folder of the images. None: searched beside the JSON.

    Raises:
        ClipError: the JSON is missing or damaged, or has no usable image.
    """
    file = Path(file)
    if find_spec("pycocotools") is None:
        raise ClipError(file, "COCO's polygons need pycocotools: pip install pycocotools")
    content = read_json(file, {"images": list, "annotations": list})
    if not content["images"]:
        raise ClipError(file, "lists no images")
    omitted = LeftOut()
    listed = _images(content["images"], omitted)
    annotations = _by_image(content["annotations"], listed, omitted)
    listed_images = (
        ListedImages([Path(images)], Path(images)) if images else ListedImages(_folders(file), file.parent, True)
    )
    by_name: dict[str, Annotated] = {}
    for image, path in _files([listed[key] for key in annotations], listed_images, omitted):
        try:
            size = image.size or image_size(path)
        except ClipError:
            omitted.add("images that can't be decoded", image.name)
            continue
        if masks := drawable(annotations[image.id], size, omitted):
            by_name[_name(image.name, by_name)] = Annotated(path, size, masks)
    if by_name:
        if omitted:
            warnings.warn(f"{file}: left out {omitted}", DataWarning, stacklevel=2)
        return Clips(list(by_name), partial(_read, file, by_name))
    if len(missing := omitted.names.get(MISSING, [])) == len(annotations) > 0:
        places = ", ".join(map(str, listed_images.folders))
        problem = f"its image {missing[0]} is in none of {places}"
        raise ClipError(file, f"{problem}: give the folder of the images (--images FOLDER)")
    suffix = f"; left out {omitted}" if omitted else ""
    raise ClipError(file, f"none of its images has an annotation with a segmentation{suffix}")


def _images(entries: Sequence[Any], omitted: LeftOut) -> dict[str, Image]:
    """Listed images by ID."""
    by_id: dict[str, Image] = {}
    twice: set[str] = set()
    for index, entry in enumerate(entries):
        fields = entry if isinstance(entry, dict) else {}
        key = _key(fields.get("id"))
        names = (fields.get(field) for field in ("file_name", "path", "filename", "coco_url"))
        name = next((name for name in names if isinstance(name, str) and name.strip()), None)
        if key is None or name is None:
            omitted.add("images without an id or a file_name", f"images[{index}]")
            continue
        sides = side(fields.get("height")), side(fields.get("width"))
        image = Image(key, name, sides if None not in sides else None)  # type: ignore[arg-type]
        if by_id.setdefault(key, image).name != name:
            twice.add(key)
    for key in twice:
        omitted.add("images that share their id with another", by_id.pop(key).name)
    return by_id


def _by_image(
    entries: Sequence[Any], listed: Mapping[str, Image], omitted: LeftOut
) -> dict[str, list[tuple[str, Any]]]:
    """ID and segmentation of annotations, sorted by ID, by the ID of their image."""
    by_image: dict[str, list[tuple[str, Any]]] = {}
    crowds: list[tuple[str, str, Any]] = []
    others = False
    for index, entry in enumerate(entries):
        fields = entry if isinstance(entry, dict) else {}
        name, image = _key(fields.get("id")) or f"annotations[{index}]", _key(fields.get("image_id"))
        segmentation = fields.get("segmentation")
        if image is None or image not in listed:
            omitted.add("annotations of images that are not listed", name)
        elif not segmentation or fields.get("isbbox") is True:  # COCO Annotator draws boxes as polygons
            omitted.add(NO_MASK, name)
        elif str(fields.get("iscrowd")).lower() in ("1", "1.0", "true") and not _is_from_cvat(fields):
            crowds.append((image, name, segmentation))
        else:
            others = True
            by_image.setdefault(image, []).append((name, segmentation))
    for image, name, segmentation in crowds:
        if others:
            omitted.add("regions of a crowd (iscrowd)", name)
        else:  # some tools mark all run lengths as crowds
            by_image.setdefault(image, []).append((name, segmentation))
    for group in by_image.values():
        group.sort(key=lambda annotation: natural(annotation[0]))
    return by_image


def _is_from_cvat(fields: Mapping[str, Any]) -> bool:
    """Whether an annotation is from CVAT, which marks all masks but polygons as crowds."""
    attributes = fields.get("attributes")
    return isinstance(attributes, dict) and "occluded" in attributes and not attributes.get("is_crowd")


def _files(images: Iterable[Image], listed_images: ListedImages, omitted: LeftOut) -> Iterator[tuple[Image, Path]]:
    by_path: dict[Path, list[Image]] = {}
    for image in images:
        path = listed_images.find(image.name)
        if path is None:
            omitted.add(MISSING, image.name)
        else:
            by_path.setdefault(path, []).append(image)
    for path, entries in by_path.items():
        if len({image.name for image in entries}) > 1:
            omitted.add(
                f"images for which there is only one file {path.name}", ", ".join(image.name for image in entries)
            )
        else:
            yield from ((image, path) for image in entries)


def drawable(annotations: Iterable[tuple[str, Any]], size: tuple[int, int], omitted: LeftOut) -> Masks:
    """The valid segmentations for an image of a height and width.

    Args:
        annotations: ID and segmentation of each.
        size: height and width of the image.
        omitted: collects the invalid ones.
    """
    masks: Masks = []
    for name, segmentation in annotations:
        if isinstance(segmentation, dict):
            try:
                coco_rle.counts(segmentation, size)
            except ValueError as error:
                omitted.add("annotations with run lengths that don't fit", f"{name}: {error}")
            else:
                masks.append(segmentation)
            continue
        if isinstance(segmentation, list) and segmentation and all(_is_polygon(part, size) for part in segmentation):
            masks.append(segmentation)  # valid as it is
            continue
        every = list(_polygons(segmentation))
        polygons = [polygon for polygon in every if _is_polygon(polygon, size)]
        if segmentation is None or not every:
            omitted.add(NO_MASK, name)
        elif len(polygons) < len(every):
            omitted.add("annotations with invalid polygons or polygons of less than three corners", name)
        if polygons:
            masks.append(polygons)
    return masks


def _polygons(value: Any, levels: int = 4) -> Iterator[Any]:
    """Lists of coordinates in a segmentation, however nested; corners may be lists, too."""
    if not isinstance(value, list) or not levels:
        yield value
    elif not any(isinstance(part, list) for part in value):
        if value:
            yield value
    elif len(value) > 2 and all(isinstance(part, list) and len(part) == 2 for part in value):
        corners = [number for corner in value for number in corner]
        yield from ([corners] if all(isinstance(number, (int, float)) for number in corners) else map(_flat, value))
    else:
        for part in value:
            yield from _polygons(part, levels - 1)


def _flat(value: Any) -> Any:
    return next(_polygons(value), None)


def _is_polygon(value: Any, size: tuple[int, int]) -> bool:
    """Whether a value has at least three corners, which are numbers within reach."""
    if not isinstance(value, list) or len(value) < 6 or len(value) % 2:
        return False
    try:
        return math.isfinite(sum(value)) and max(map(abs, value)) <= MAX_POLYGON_REACH * max(size)
    except (TypeError, OverflowError):
        return False


def _key(value: Any) -> str | None:
    """An ID written as 7, 7.0 or "7"; None if invalid."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, (int, str)) else None


def side(value: Any) -> int | None:
    """A height or width written as 120, 120.0 or "120"; None if invalid."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if number > 0 and number.is_integer() else None


def _name(file_name: str, taken: Mapping[str, Any]) -> str:
    """Name of a clip: that of the file, with a number if it is taken."""
    parts = [part for part in file_name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    plain = str(PurePosixPath(*parts).with_suffix("")).replace("/", "-").replace(":", "")
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name


def _folders(file: Path) -> list[Path]:
    """Usual folders of images: beside the JSON, images/, <split>/ for instances_<split>.json, and others."""
    here, above = file.parent, file.parent.parent
    split = file.stem.rpartition("_")[2]
    usual = [here, here / "images", above, above / "images", above / split, above / "images" / split]
    return [*usual, *(folder / name for folder in (here, above) for name in ("data", "JPEGImages", split))]


def _read(file: Path, by_name: dict[str, Annotated], name: str) -> Clip:
    return still(name, file, by_name[name])


def still(name: str, file: Path, annotated: Annotated) -> Clip:
    """An image as a clip of one frame. Masks are rotated with it if they were drawn without its EXIF orientation.

    Args:
        name: name of the clip.
        file: the JSON that lists the image.
        annotated: the image and its objects.

    Raises:
        ClipError: the image is damaged, or of another size.
    """
    picture, size, segmentations = annotated
    actual, turn = image_size(picture, 0), None
    if actual != size:
        with opened(picture, 0) as image:
            if (image.height, image.width) == size:
                turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    if actual != size and turn is None:
        problem = f"is {actual[1]} x {actual[0]} pixels, {file.name} says {size[1]} x {size[0]}"
        raise ClipError(picture, problem, 0)

    def masks(frame: int) -> np.ndarray:
        masks_of_frame = np.zeros((len(segmentations), *actual), bool)
        for row, segmentation in enumerate(segmentations):
            mask = segment(segmentation, size)
            masks_of_frame[row] = mask if turn is None else turn(mask)
        return masks_of_frame

    def pixels(frame: int) -> np.ndarray:
        return read_image(picture, frame)

    return Clip(name, Lazy(1, pixels), tuple(range(1, len(segmentations) + 1)), Lazy(1, masks))


_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    5: np.transpose,
    6: partial(np.rot90, k=-1),
    7: lambda mask: np.rot90(mask, 2).T,
    8: np.rot90,
}
"""Rotations by `read_image`, for EXIF orientations that swap height and width."""


def segment(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """The mask of a COCO segmentation, bool [H, W].

    Args:
        segmentation: run lengths in either form, or a union of polygons [[x, y, x, y, ...], ...].
        size: height and width of the image.

    Raises:
        ValueError: it is invalid, or of another size.
    """
    if isinstance(segmentation, dict):
        return coco_rle.decode(segmentation, size)
    for polygon in segmentation if isinstance(segmentation, list) else [None]:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a segmentation must be run lengths or a list of polygons [x, y, x, y, x, y, ...]")
        if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in polygon):
            raise ValueError("a polygon has a coordinate that is not a number")
    if not segmentation:
        raise ValueError("the segmentation has no polygon")
    from pycocotools import mask as pycocotools  # imported late: run lengths, as in SA-1B, don't need it

    return pycocotools.decode(pycocotools.merge(pycocotools.frPyObjects(segmentation, *size))).astype(bool)


def write(clips: Iterable[Clip], root: str | Path, quality: int = 95) -> None:
    """Write annotations.json, and annotated frames as images/<name>.jpg, or images/<name>-00000.jpg for long clips.

    Masks are written as run lengths; invisible objects are left out, and so are frames on which a mask is unknown.
    Annotations have a `score`, the predicted IoU, if the clip has `ious`, `attributes` if the object has any, and a
    `track_id` if the clip has several frames: the object's ID, in later clips plus the highest one before. Labels
    become categories.

    Raises OSError.
    """
    root, tracks = Path(root), 0
    with CocoWriter(root / "annotations.json") as writer:
        for clip in clips:
            attributes = clip.attributes or {}
            entries = zip(clip.frames, clip.masks, clip.ious or repeat(None, len(clip)), strict=True)
            for index, (frame, masks, ious) in enumerate(entries):
                if masks is None or not clip.is_complete(index):
                    continue
                name = f"{clip.name}.jpg" if len(clip) == 1 else f"{clip.name}-{index:05d}.jpg"
                write_jpeg(root / "images" / name, frame, quality)
                annotations: list[dict[str, Any]] = []
                for row, (object_id, mask) in enumerate(zip(clip.object_ids, masks, strict=True)):
                    if not mask.any():
                        continue
                    annotation: dict[str, Any] = {
                        "category": (clip.labels or {}).get(object_id, ""),
                        "segmentation": coco_rle.encode(mask),
                        "area": int(mask.sum()),
                        "bbox": list(cv2.boundingRect(mask.view(np.uint8))),
                        "iscrowd": 0,
                    }
                    if ious is not None:
                        annotation["score"] = round(float(ious[row]), 6)
                    if attributes.get(object_id):
                        annotation["attributes"] = dict(attributes[object_id])
                    if len(clip) > 1:
                        annotation["track_id"] = tracks + object_id
                    annotations.append(annotation)
                height, width = frame.shape[:2]
                writer.add(name, height, width, annotations)
            tracks += max(clip.object_ids, default=0) if len(clip) > 1 else 0
