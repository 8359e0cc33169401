"""A video file as a recording."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from copy import copy
from pathlib import Path

from sam2_ros.data.clips import ClipError
from sam2_ros.data.video import VideoFrames
from sam2_ros.recordings.recording import (
    DamagedImage,
    RecordedImage,
    Recording,
    content_hash,
    regular_stamps,
    runs,
)

FALLBACK_FPS = 24.0
"""Of a video whose header has no rate."""

BLOCK = 256 << 20
"""Maximum bytes of decoded frames that are held to read backwards. A video decodes forwards only, from a key frame on;
with fewer frames in a block, more are decoded twice. 93 frames of 1280 x 720; usually a key frame comes every 250."""


class VideoRecording(Recording):
    """A video file. Stamps are regular, whatever the times in the file.

    Args:
        path: the file.
        fps: frames per second; None: the average rate of the file.

    Raises:
        ClipError: the file can't be opened as a video.
        ImportError: PyAV is missing.
    """

    def __init__(self, path: Path, fps: float | None = None) -> None:
        self._frames = VideoFrames(path)
        notices = []
        if fps is None:
            fps = self._frames.fps
            if not 0.5 <= fps <= 1000:  # broken headers
                fps = FALLBACK_FPS
                notices.append(f"the file does not say its frame rate; {fps:g} images per second are assumed (--fps)")
        super().__init__(path, regular_stamps(len(self._frames), fps), fps, notices=notices)

    def _read(self, indices: range) -> Generator[RecordedImage | DamagedImage | None, None, None]:
        frames = copy(self._frames)  # with a position of its own in the file
        if indices.step > 0:
            for index in indices:
                yield self._image(frames, index)
            return
        height, width = frames.size
        for block in runs(indices, max(1, BLOCK // (3 * height * width))):
            images: list[RecordedImage | DamagedImage] = []
            for index in reversed(block):
                images.append(self._image(frames, index))
                yield None
            while images:
                yield images.pop()

    def _pick(self, indices: Sequence[int]) -> Generator[RecordedImage | DamagedImage | None, None, None]:
        frames = copy(self._frames)  # goes on from where it is, instead of beginning at a key frame
        for index in indices:
            yield self._image(frames, index)

    def _image(self, frames: VideoFrames, index: int) -> RecordedImage | DamagedImage:
        try:
            return RecordedImage(index, self.stamps[index], frames[index])
        except ClipError as error:
            return DamagedImage(index, error.problem)

    def _content(self) -> str:
        return content_hash("video", self.stamps, [self.path])
