"""SA-1B: a JSON beside each image, sa_<number>.jpg and sa_<number>.json, https://ai.meta.com/datasets/segment-anything.

    {"image": {"image_id": 1, "file_name": "sa_1.jpg", "height": 1500, "width": 2250},
     "annotations": [{"id": 1, "segmentation": {"size": [1500, 2250], "counts": "..."}, ...}, ...]}

Each image is a clip of one frame. Its objects, about a hundred in SA-1B, may overlap. They are numbered from 1 in the
order of the file.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from sam2_ros.data import coco, coco_rle
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, DataWarning
from sam2_ros.data.images import SUFFIXES, image_size, write_jpeg
from sam2_ros.data.json_file import read_json
from sam2_ros.data.left_out import LeftOut
from sam2_ros.data.listed_images import ListedImages
from sam2_ros.data.natural_order import natural

MAX_JSON_SIZE = 2**25
"""Maximum bytes of the JSON of a single image."""


def clips(root: str | Path, images: str | Path | None = None) -> Clips:
    """Images of a folder or its subfolders, or of one JSON, named after the JSON.

    Args:
        root: the folder or JSON.
        images: folder of the images. None: beside their JSON, or in images/ beside its folder.

    Raises:
        ClipError: there are no images.
    """
    root = Path(root)
    files = find(root)
    if not files:
        raise ClipError(root, "contains no JSON of an image in the format of SA-1B")
    named: dict[str, Path] = {}
    for file in files:
        plain = file.stem
        named[f"{file.parent.name}-{plain}" if plain in named else plain] = file
    return Clips(list(named), partial(_read, named, None if images is None else Path(images)))


def find(root: Path) -> list[Path]:
    """JSON files with the name of an image, or sa_<number>. Only the first file is read to check the format."""
    if root.is_file():
        return [root] if _describes_one_image(root) else []
    for pattern in ("*", "*/*"):
        files = [file for file in sorted(root.glob(pattern), key=natural) if file.name[0] != "."]
        pictures = {file.stem for file in files if file.suffix.lower() in SUFFIXES}
        lists = [file for file in files if file.suffix.lower() == ".json"]
        lists = [file for file in lists if file.stem in pictures or file.stem.startswith("sa_")]
        if lists and _describes_one_image(lists[0]):
            return lists
    return []


def _describes_one_image(file: Path) -> bool:
    if file.suffix.lower() != ".json" or file.stat().st_size > MAX_JSON_SIZE:
        return False
    try:
        read_json(file, {"image": dict, "annotations": list})
    except ClipError:
        return False
    return True


def _read(named: dict[str, Path], images: Path | None, name: str) -> Clip:
    file = named[name]
    content = read_json(file, {"image": dict, "annotations": list})
    folders = [images] if images else [file.parent, file.parent.parent / "images"]
    listed = content["image"].get("file_name")
    names = [listed.lstrip("/")] if isinstance(listed, str) and listed.strip("/") else []
    names += [f"{file.stem}{suffix}" for suffix in (".jpg", *sorted(SUFFIXES - {".jpg"}))]
    plain = (path for folder in folders for one in names if (path := folder / one).is_file())
    picture = next(plain, None) or ListedImages(folders, folders[0], images is None).find(
        listed if isinstance(listed, str) else names[0]
    )
    if picture is None:
        raise ClipError(
            folders[0] / names[0], f"the image of {file.name} is missing; give the folder of images (--images FOLDER)"
        )
    height, width = coco.side(content["image"].get("height")), coco.side(content["image"].get("width"))
    size = image_size(picture, 0) if height is None or width is None else (height, width)
    omitted = LeftOut()
    entries = [entry if isinstance(entry, dict) else {} for entry in content["annotations"]]
    segmentations = [(str(entry.get("id", index)), entry.get("segmentation")) for index, entry in enumerate(entries)]
    masks = coco.drawable(segmentations, size, omitted)
    if omitted:
        warnings.warn(f"{file}: left out {omitted}", DataWarning, stacklevel=2)
    return coco.still(name, file, coco.Annotated(picture, size, masks))


def write(clips: Iterable[Clip], root: str | Path, quality: int = 95) -> None:
    """Write annotated frames as <name>.jpg and <name>.json, or <name>-00000.jpg for long clips.

    Invisible objects are left out. Raises OSError.
    """
    root, number = Path(root), 0
    for clip in clips:
        for index, (frame, masks) in enumerate(zip(clip.frames, clip.masks, strict=True)):
            if masks is None:
                continue
            name = clip.name if len(clip) == 1 else f"{clip.name}-{index:05d}"
            write_jpeg(root / f"{name}.jpg", frame, quality)
            height, width = frame.shape[:2]
            number += 1
            image = {"image_id": number, "file_name": f"{name}.jpg", "height": height, "width": width}
            visible = [mask for mask in masks if mask.any()]
            annotations = [
                {"id": row, "segmentation": coco_rle.encode(mask), "area": int(np.count_nonzero(mask))}
                for row, mask in enumerate(visible, 1)
            ]
            (root / f"{name}.json").write_text(json.dumps({"image": image, "annotations": annotations}))
