"""A recording in memory."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from sam2_ros.recordings.recording import DamagedImage, RecordedImage, Recording, regular_stamps


class RememberedRecording(Recording):
    """Images from memory; some may be damaged."""

    def __init__(self, pixels: Sequence[np.ndarray], damaged: Sequence[int] = ()) -> None:
        super().__init__(Path("remembered"), regular_stamps(len(pixels), 10.0), 10.0)
        self.pixels = pixels
        self._broken = frozenset(damaged)
        self.read: list[int] = []
        """Indices of the images that were read, in order."""

    def _read(self, indices: range) -> Generator[RecordedImage | DamagedImage | None, None, None]:
        for index in indices:
            self.read.append(index)
            if index in self._broken:
                yield DamagedImage(index, "a broken JPEG")
            else:
                yield RecordedImage(index, self.stamps[index], self.pixels[index])

    def _file(self, index: int) -> None:
        return None

    def _content(self) -> str:
        return "remembered"
