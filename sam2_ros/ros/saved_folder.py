"""Folders with what was tracked on one image, for people and programs that know nothing of ROS."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from sam2_ros.data import coco_rle
from sam2_ros.data.labels import MAX_ID, write_pixels
from sam2_ros.ros.label_images import label_image
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.ros.tracked_image import TrackedImage
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.object_colours import colour
from sam2_ros.tracking.overlay import Overlay

PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
"""Name of a folder that may be asked for. It begins with a letter or digit, so that it is neither `..` nor hidden."""
MAX_PARTS = 8
PALETTE = np.array([(0, 0, 0), *map(colour, range(1, 256))], np.uint8)
"""Colours of labels.png: those of `~/labels/color`."""
MIN_FREE = 256 * 2**20
"""Bytes that stay free on the disk: the rest of the robot needs them, too."""


class SaveError(Exception):
    """Nothing was saved; the message says why."""


def default_folder() -> Path:
    """Where to save if nothing is configured: the user's folder for data, as XDG defines it."""
    configured = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (configured if configured.is_absolute() else Path.home() / ".local/share") / "sam2_ros" / "saved"


def place(root: Path, folder: str) -> Path:
    """The folder below `root` that was asked for; empty: `root` itself.

    Raises:
        SaveError: it is not a plain relative path, or leads out of `root` through a link.
    """
    parts = [part for part in folder.split("/") if part]
    if folder.startswith("/") or len(parts) > MAX_PARTS or not all(PART.fullmatch(part) for part in parts):
        raise SaveError(
            f"{folder[:100]!r} cannot be the folder: give a name or a relative path of letters, digits, blanks, '.',"
            f" '_' and '-', such as run3/kitchen. It is made below {root} (parameter save_folder)"
        )
    target = root.joinpath(*parts)
    if not target.resolve().is_relative_to(root.resolve()):
        raise SaveError(f"{target} leads out of {root} (parameter save_folder)")
    return target


def save(root: Path, folder: str, image: TrackedImage, when: datetime | None = None) -> Path:
    """Write what is tracked on an image into a new folder, and return that.

    It appears when it is complete, and is called by the time; nothing is overwritten.

    Args:
        root: no file is written outside of it.
        folder: see `place`.
        when: None: now.

    Raises:
        SaveError: see `place`; or it cannot be written, or the disk would be full.
    """
    parent = place(root, folder)
    name = (when or datetime.now()).strftime("%Y-%m-%d_%H-%M-%S.%f")[:-3]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        needed = MIN_FREE + 3 * image.pixels.nbytes
        if (free := shutil.disk_usage(parent).free) < needed:
            raise SaveError(f"only {free / 2**20:.0f} MiB are free at {parent}; {needed / 2**20:.0f} have to be")
        unfinished = parent / f".{name}.{os.getpid()}"
        unfinished.mkdir()
        try:
            _write(unfinished, image)
            return _renamed(unfinished, parent / name)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        raise SaveError(f"{error.filename or parent} cannot be written: {error.strerror or error}") from error


def _renamed(unfinished: Path, target: Path) -> Path:
    """Give a folder its final name, or the next free one."""
    for number in range(1, 1000):
        candidate = target if number == 1 else target.with_name(f"{target.name}_{number}")
        if candidate.exists():  # an empty folder would be replaced
            continue
        try:
            return unfinished.rename(candidate)
        except FileExistsError:
            continue
    raise SaveError(f"{target} exists already, and so do 999 more of its time")


def _write(folder: Path, image: TrackedImage) -> None:
    masklets = image.frame.masklets
    write_pixels(folder / "image.png", image.pixels)
    write_pixels(folder / "overlay.png", Overlay().draw(image.pixels, masklets))
    labels = label_image(image.frame)
    if labels.max(initial=0) <= MAX_ID:
        write_pixels(folder / "labels.png", labels.astype(np.uint8), PALETTE)
    else:
        write_pixels(folder / "labels.png", labels)
    objects = []
    for masklet in masklets:
        file = f"mask_{masklet.object_id}.png"
        write_pixels(folder / file, masklet.mask.astype(np.uint8) * np.uint8(255))
        objects.append(_described(masklet, file))
    described = {
        "stamp": nanoseconds(image.header.stamp),
        "frame_id": image.header.frame_id,
        "height": image.frame.height,
        "width": image.frame.width,
        "image": "image.png",
        "overlay": "overlay.png",
        "labels": "labels.png",
        "objects": objects,
    }
    (folder / "objects.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _described(masklet: Masklet, file: str) -> dict[str, Any]:
    return {
        "object_id": masklet.object_id,
        "label": masklet.label,
        "present": masklet.present,
        "presence": round(masklet.presence, 4),
        "iou": round(masklet.iou, 4),
        "box": [int(side) for side in masklet.box],
        "mask": file,
        "segmentation": coco_rle.encode(masklet.mask),
    }
