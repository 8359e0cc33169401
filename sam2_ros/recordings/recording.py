"""A recording: images in order, each with a stamp."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class RecordedImage:
    """One image of a recording."""

    index: int
    """Its place in the recording, from 0."""
    stamp: int
    """ns."""
    pixels: np.ndarray
    """uint8 [H, W, 3] RGB; sizes may change."""


class Recording(ABC):
    """A bag, a video or a folder of images. Images are decoded when they are read, one at a time.

    Damaged images are left out; `damaged` names those that were met so far.
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

    def __len__(self) -> int:
        return len(self.stamps)

    @abstractmethod
    def images(self, start: int = 0, stop: int | None = None) -> Iterator[RecordedImage]:
        """The images from `start` to before `stop` (None: to the end), in order."""

    @abstractmethod
    def images_backwards(self, start: int, stop: int = 0) -> Iterator[RecordedImage]:
        """The images from `start` down to `stop`, both included, the latest first."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies the content, cheaply: another recording under the same path has another one."""
