"""A clip in memory as a recording."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.recordings.recording import RecordedImage, Recording


class ClipRecording(Recording):
    """The images of a clip with known masks. Stamps are those of a folder of images."""

    def __init__(self, clip: Clip) -> None:
        self.path, self.name, self.frame_id = Path(clip.name), clip.name, ""
        self.fps = clip.fps
        self.stamps = [1_000_000_000 + round(index * 1e9 / clip.fps) for index in range(len(clip))]
        self.damaged: dict[int, str] = {}
        self._frames = clip.frames

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[RecordedImage]:
        stop = len(self) if stop is None else stop
        return (self._image(index) for index in range(start, stop))

    def images_backwards(self, start: int, stop: int = 0) -> Iterator[RecordedImage]:
        return (self._image(index) for index in range(start, stop - 1, -1))

    def _image(self, index: int) -> RecordedImage:
        return RecordedImage(index, self.stamps[index], np.asarray(self._frames[index]))

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr((self.name, len(self), self.fps)).encode())
        for image in self.images():
            digest.update(np.ascontiguousarray(image.pixels).data)
        return digest.hexdigest()
