"""Sequential reading of video files, cameras and image folders."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from sam2_ros.data.image_sequence import ImageFiles
from sam2_ros.data.video import VideoFrames
from sam2_ros.data.video_decoder import Decoder
from sam2_ros.data.video_index import frame_rate


class VideoReader:
    """Frames of a video file, a camera (an index like 0), or a folder of images, in order: uint8 [H, W, 3] RGB.

    `fps` is the rate of the source; `fallback_fps` for images, or if a file has none. Frames of a file that can't be
    decoded are skipped. Raises FileNotFoundError or ValueError if the source can't be opened, and ImportError for a
    file without PyAV.
    """

    def __init__(self, source: str | Path | int, fallback_fps: float = 24.0) -> None:
        self.source = source
        self._images: ImageFiles | None = None
        self._camera: cv2.VideoCapture | None = None
        fps = 0.0
        if isinstance(source, int):
            self._camera = cv2.VideoCapture(source)
            if not self._camera.isOpened():
                raise ValueError(f"{source}: cannot be opened as a camera")
            fps = self._camera.get(cv2.CAP_PROP_FPS)
        elif Path(source).is_dir():
            self._images = ImageFiles.of(source)
        elif Path(source).is_file():
            fps = frame_rate(Path(source))
        else:
            raise FileNotFoundError(f"{source}: no such video file or folder of images")
        self.fps = float(fps) if 0.5 <= fps <= 1000 else fallback_fps  # cameras and broken headers report 0 or NaN
        self.rewind()

    @cached_property
    def count(self) -> int | None:
        """The number of frames; None for a camera. A file is read completely to count them."""
        if self._camera is not None:
            return None
        return len(self._images if self._images is not None else VideoFrames(str(self.source)))

    def read(self) -> np.ndarray | None:
        """The next frame; None at the end. Raises ValueError if there are no frames, or an image is damaged."""
        return next(self._frames, None)

    def rewind(self) -> None:
        """Restart at the first frame; has no effect on a camera."""
        if self._camera is not None:
            self._frames = _camera_frames(self._camera)
        else:
            self._frames = iter(self._images) if self._images is not None else _decoded_frames(Path(str(self.source)))

    def __iter__(self) -> Iterator[np.ndarray]:
        while (frame := self.read()) is not None:
            yield frame

    def close(self) -> None:
        """Close the source, which ends iteration."""
        self._frames = iter(())
        if self._camera is not None:
            self._camera.release()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _camera_frames(camera: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while (read := camera.read())[0]:
        yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)


def _decoded_frames(file: Path) -> Iterator[np.ndarray]:
    """All frames of a file that can be decoded."""
    done = 0
    for threads in (True, False):  # from the first damage on without threads
        decoder = Decoder(file, threads)
        try:
            for _, frame in islice(decoder.frames(), done, None):
                if threads and decoder.damaged:
                    break
                done += 1
                yield decoder.pixels(frame)
        finally:
            decoder.close()
        if not decoder.doubtful:
            break
    if not done:
        raise ValueError(f"{file}: none of its frames can be decoded")
