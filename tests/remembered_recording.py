"""A recording in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sam2_ros.recordings.recording import RecordedImage, Recording


class RememberedRecording(Recording):
    """Images from memory; some may be damaged."""

    def __init__(self, pixels: Sequence[np.ndarray], damaged: Sequence[int] = ()) -> None:
        self.path, self.name, self.frame_id, self.fps = Path("remembered"), "remembered", "camera", 10.0
        self.pixels = pixels
        self.stamps = [1_000_000_000 + index * 100_000_000 for index in range(len(pixels))]
        self._broken = frozenset(damaged)
        self.damaged = {}
        self.read: list[int] = []
        """Indices of the images that were read, in order."""

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[RecordedImage]:
        return self._of(range(start, len(self) if stop is None else stop))

    def images_backwards(self, start: int, stop: int = 0) -> Iterator[RecordedImage]:
        return self._of(range(start, stop - 1, -1))

    def _of(self, indices: Sequence[int]) -> Iterator[RecordedImage]:
        for index in indices:
            self.read.append(index)
            if index in self._broken:
                self.damaged[index] = "a broken JPEG"
            else:
                yield RecordedImage(index, self.stamps[index], self.pixels[index])

    def fingerprint(self) -> str:
        return "remembered"
