"""A clip in memory as a recording."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from pathlib import Path

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.recordings.recording import DamagedImage, RecordedImage, Recording, regular_stamps


class ClipRecording(Recording):
    """The images of a clip with known masks."""

    def __init__(self, clip: Clip) -> None:
        super().__init__(Path(clip.name), regular_stamps(len(clip), clip.fps), clip.fps)
        self._clip = clip

    def _file(self, index: int) -> None:
        return None

    def _content(self) -> str:
        content = hashlib.sha256(repr((len(self), self.fps)).encode())
        for image in self._clip.frames:
            content.update(np.ascontiguousarray(image).data)
        return content.hexdigest()[:32]

    def _read(self, indices: range) -> Generator[RecordedImage | DamagedImage | None, None, None]:
        for index in indices:
            yield RecordedImage(index, self.stamps[index], np.asarray(self._clip.frames[index]))
