"""A recording: images in order, each with a stamp."""

from __future__ import annotations

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.read_ahead import read_ahead

FIRST_STAMP = 1_000_000_000
"""Stamp of the first image of a video or folder, ns; in ROS, 0 means "no time"."""

GONE = "is gone, and was there when the recording was opened; when it is there again, start the same command again"

MAX_SECONDS = 2**31 - 2
"""From the first stamp to the last one; ROS counts seconds in 32 bits."""

SAMPLES, SAMPLE = 16, 1 << 16
"""Places of a file, and files of a folder, of which a hash is made, and the bytes at each."""

_STRETCH = re.compile(r"\[(\d+):(\d+)\]$")
"""At the end of the fingerprint of a part of a recording."""

Some = TypeVar("Some", bound="Recording")


@dataclass(frozen=True, eq=False)
class RecordedImage:
    """One image of a recording."""

    index: int
    """Its place in the recording, from 0."""
    stamp: int
    """ns."""
    pixels: np.ndarray
    """uint8 [H, W, 3] RGB; sizes may change."""


@dataclass(frozen=True)
class DamagedImage:
    """An image that cannot be decoded."""

    index: int
    reason: str


class Recording(ABC):
    """A bag, a video or a folder of images. Images are decoded when they are read, a few ahead of the reader.

    Damaged images are left out; `damaged` names those that were met so far. Iterators are independent of each other.
    """

    path: Path
    name: str
    """Of the file or folder, without suffix."""
    frame_id: str
    """Of the camera."""
    fps: float
    """Images per second, from the stamps."""
    stamps: Sequence[int]
    """One for each image, ascending, ns."""
    damaged: dict[int, str]
    """Why images could not be decoded, by index, as far as they have been read."""
    notices: tuple[str, ...]
    """What the user should know, such as parts that are left out: a sentence each."""
    span: range
    """Indices of the images that are read: all, or those of a `stretch`."""

    def __init__(
        self,
        path: Path,
        stamps: Sequence[int],
        fps: float,
        frame_id: str = "camera",
        notices: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.name = path.absolute().name if path.is_dir() else path.stem
        self.stamps, self.fps, self.frame_id, self.notices = stamps, fps, frame_id, tuple(notices)
        self.damaged = {}
        self.span = range(len(stamps))

    def __len__(self) -> int:
        return len(self.stamps)

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[RecordedImage]:
        """The images from `start` to before `stop` (None: to the end), in order.

        Raises:
            ClipError: the recording can't be read any further.
        """
        last = self.span.stop if stop is None else min(stop, self.span.stop)
        if indices := range(max(start, self.span.start), last):
            yield from self._undamaged(self._read(indices))

    def images_backwards(self, start: int, stop: int = 0) -> Iterator[RecordedImage]:
        """The images from `start` down to `stop`, both included, the latest first. Raises ClipError as `images`."""
        if indices := range(min(start, self.span.stop - 1), max(stop, self.span.start) - 1, -1):
            yield from self._undamaged(self._read(indices))

    def picked(self, indices: Iterable[int]) -> Iterator[RecordedImage]:
        """Single images, ascending. A video is decoded once for all of them. Raises ClipError as `images`."""
        yield from self._undamaged(self._pick([index for index in indices if index in self.span]))

    def stretch(self: Some, start: int | None = None, stop: int | None = None) -> Some:
        """A part of the recording. Indices and stamps stay those of the whole; images outside are not read.

        Args:
            start: index of the first image; None: that of the whole.
            stop: index after the last one; None: the end.

        Raises:
            ValueError: there are no images in it.
        """
        part = copy(self)
        first = self.span.start if start is None else max(start, self.span.start)
        part.span = range(first, self.span.stop if stop is None else min(stop, self.span.stop))
        if not part.span:
            raise ValueError(f"{self.path} has {len(self)} images; there are none from {start} to before {stop}")
        return part

    def fingerprint(self) -> str:
        """Identifies the content, cheaply: another recording under the same path has another one.

        A copy in another place has the same one, another stretch a different one.
        """
        stretch = "" if len(self.span) == len(self) else f"[{self.span.start}:{self.span.stop}]"
        return self.content() + stretch

    def content(self) -> str:
        """The fingerprint of the whole recording, also of a stretch."""
        return self._content()

    @abstractmethod
    def _content(self) -> str:
        """A hash of the content."""

    @abstractmethod
    def _read(self, indices: range) -> Generator[RecordedImage | DamagedImage | None, None, None]:
        """The images of these indices, ascending or descending. None: none yet, but here is a place to stop.

        Runs in a thread of its own. Raises ClipError.
        """

    def _pick(self, indices: Sequence[int]) -> Generator[RecordedImage | DamagedImage | None, None, None]:
        """As `_read`, of single images."""
        for index in indices:
            yield from self._read(range(index, index + 1))

    def _file(self, index: int) -> Path | None:
        """The file or folder that an image is in; None: it is in memory."""
        return self.path

    def _undamaged(self, items: Generator[RecordedImage | DamagedImage | None, None, None]) -> Iterator[RecordedImage]:
        with closing(read_ahead(items)) as images:
            for image in images:
                if isinstance(image, DamagedImage):
                    file = self._file(image.index)
                    if file is not None and not os.path.lexists(file):  # it would seem to be damaged to the end
                        raise ClipError(file, GONE)
                    self.damaged[image.index] = image.reason
                elif image is not None:
                    yield image


def split_fingerprint(fingerprint: str) -> tuple[str, range | None]:
    """The content that a fingerprint is of, and the stretch; None: the whole recording."""
    found = _STRETCH.search(fingerprint)
    if found is None:
        return fingerprint, None
    return fingerprint[: found.start()], range(int(found[1]), int(found[2]))


def regular_stamps(count: int, fps: float) -> list[int]:
    """Stamps of images at a constant rate, ns. Raises ValueError: the last one is no time of ROS."""
    if (count - 1) / fps >= MAX_SECONDS:
        raise ValueError(f"{count} images at {fps:g} a second last too long; a larger --fps is needed")
    return [FIRST_STAMP + round(index * 1e9 / fps) for index in range(count)]


def runs(indices: range, length: int) -> Iterator[range]:
    """Consecutive parts of the indices, `length` of them each but the last."""
    return (indices[first : first + length] for first in range(0, len(indices), length))


def content_hash(kind: str, stamps: Sequence[int], files: Sequence[Path]) -> str:
    """A hash of stamps and files: their sizes, and bytes here and there. Raises OSError."""
    content = hashlib.sha256(f"{kind} {len(stamps)} {len(files)}".encode())
    content.update(np.array(stamps, "<i8").tobytes())
    content.update(np.array([file.stat().st_size for file in files], "<i8").tobytes())
    for file in files[:: max(1, len(files) // SAMPLES)]:
        size = file.stat().st_size
        with open(file, "rb") as stream:
            for start in np.linspace(0, max(0, size - SAMPLE), SAMPLES if size > SAMPLE else 1):
                stream.seek(int(start))
                content.update(stream.read(SAMPLE))
    return content.hexdigest()[:32]
