"""The file in which tracked objects outlive the process.

A zip archive with `objects.json` and the images of the sightings as JPEG, the size of the network's input. A new one
takes the place of the old in one step, so that there is a complete one at any time.
"""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from sam2_ros.data import coco_rle
from sam2_ros.data.compressed_image import check_size, decode_image
from sam2_ros.data.jpeg import encode_jpeg
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.tracking.prompt import MAX_OBJECT_ID, Prompt
from sam2_ros.tracking.sighting import Sighting

FORMAT, VERSION = "sam2_ros objects", 1
MAX_BYTES = 512 * 2**20
"""Maximum size of a file, also unpacked. 1024 objects, each on two images of its own, are less."""
MAX_PIXELS = 2**26
"""Maximum number of pixels of an image or a mask."""
JPEG_QUALITY = 95


class ResumeFileError(Exception):
    """The file is damaged, or of another program; the message says why."""


@dataclass(frozen=True)
class KeptObjects:
    """What a stream needs to go on with its objects."""

    sightings: tuple[Sighting, ...] = ()
    next_id: int = 1
    """ID of the next new object."""
    forget_after: Mapping[int, float] = field(default_factory=dict)
    """Of objects that only a detector has prompted: seconds of absence after which they are removed (0: never)."""


class ResumeFile:
    """A file of `KeptObjects`. Not thread-safe.

    Args:
        path: its folder is made when it is first written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._jpegs: dict[int, tuple[np.ndarray, bytes]] = {}  # by id of the image, which is kept as long
        self._lock: io.BufferedWriter | None = None

    def lock(self) -> bool:
        """Take the file for this process, until `close` or its end. Returns False if another one has it.

        Raises:
            OSError: nothing can be written there.
        """
        if self.path.exists() and not self.path.is_file():  # a folder would be set aside, a device replaced
            raise OSError(errno.EEXIST, "that is no ordinary file; give the name of one", str(self.path))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self._beside("lock"), "ab")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._lock = file
        return True

    def close(self) -> None:
        """Leave the file to other processes."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def read(self) -> KeptObjects | None:
        """The content of the file; None: there is none.

        Raises:
            ResumeFileError: it is damaged, or not of this format.
            OSError: it cannot be read.
        """
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return None
        if size > MAX_BYTES:
            raise ResumeFileError(f"it has {size / 2**20:.0f} MiB, more than any that was written by sam2")
        try:
            with zipfile.ZipFile(self.path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                    raise ResumeFileError("it is too large unpacked")
                return _unpacked(archive)
        except (OSError, ResumeFileError):
            raise
        except Exception as error:  # zlib.error, struct.error ...: there is no list of what a foreign archive may raise
            raise ResumeFileError(f"it is damaged, or of another program: {type(error).__name__}: {error}") from error

    def write(self, kept: KeptObjects) -> None:
        """Replace the file. Raises OSError; the old file is complete then."""
        data = self._packed(kept)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._beside("new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # otherwise a power failure may undo the replacement
        finally:
            os.close(folder)

    def remove(self) -> None:
        """Remove the file. Raises OSError."""
        self.path.unlink(missing_ok=True)

    def set_aside(self) -> Path:
        """Give a file that cannot be read another name, and return that. Raises OSError."""
        when = datetime.now().strftime("%Y-%m-%d_%H-%M-%S.%f")
        aside = self.path.with_name(f"{self.path.name}.unreadable-{when}")
        self.path.rename(aside)
        return aside

    def _beside(self, purpose: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{purpose}")

    def _packed(self, kept: KeptObjects) -> bytes:
        images = {id(sighting.image): sighting.image for sighting in kept.sightings}
        self._jpegs = {
            key: self._jpegs.get(key) or (image, encode_jpeg(image, JPEG_QUALITY)) for key, image in images.items()
        }
        names = {key: f"images/{number}.jpg" for number, key in enumerate(images)}
        files = {names[key]: jpeg for key, (_, jpeg) in self._jpegs.items()}
        described = {
            "format": FORMAT,
            "version": VERSION,
            "next_id": kept.next_id,
            "forget_after": {str(object_id): seconds for object_id, seconds in kept.forget_after.items()},
            "sightings": [_described(sighting, names[id(sighting.image)]) for sighting in kept.sightings],
        }
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:  # stored: nothing of it shrinks any more
            for name, data in {"objects.json": json.dumps(described).encode(), **files}.items():
                archive.writestr(zipfile.ZipInfo(name), data)  # without the time, which may be 1970 on a robot
        return packed.getvalue()


def _described(sighting: Sighting, image: str) -> dict[str, Any]:
    return {
        "object_id": sighting.object_id,
        "label": sighting.label,
        "stamp": sighting.stamp,
        "prompted": sighting.prompted,
        "image": image,
        "mask": coco_rle.encode(sighting.mask),
    }


def _unpacked(archive: zipfile.ZipFile) -> KeptObjects:
    """Raises ResumeFileError, or any other error if something is missing or of another type."""
    described = json.loads(archive.read("objects.json"))
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise ResumeFileError("it is of another program")
    if described.get("version") != VERSION:
        version = excerpt(repr(described.get("version")), 40)
        raise ResumeFileError(f"it is of version {version}, and this program writes version {VERSION}")
    images: dict[str, np.ndarray] = {}
    sightings = []
    for entry in described["sightings"]:
        name = entry["image"]
        if name not in images:
            images[name] = decode_image(archive.read(name), MAX_PIXELS)
            if images[name].ndim != 3 or images[name].dtype != np.uint8:
                raise ResumeFileError("an image in it has no colours")
        sightings.append(_sighting(entry, images[name]))
    forget_after = {int(object_id): float(seconds) for object_id, seconds in described["forget_after"].items()}
    if not 1 <= (next_id := int(described["next_id"])) <= MAX_OBJECT_ID:
        raise ResumeFileError(f"its next_id is {next_id}")
    return KeptObjects(tuple(sightings), next_id, forget_after)


def _sighting(entry: Mapping[str, Any], image: np.ndarray) -> Sighting:
    height, width = (int(side) for side in entry["mask"]["size"])
    check_size(width, height, MAX_PIXELS)
    mask = coco_rle.decode(entry["mask"], (height, width))
    checked = Prompt(entry["object_id"], mask=mask, label=entry["label"]).checked(height, width)
    if not checked.object_id:
        raise ResumeFileError("an object in it has no ID")
    return Sighting(checked.object_id, checked.label, int(entry["stamp"]), image, mask, entry["prompted"] is True)
