"""Frames out of video files, folders of images and cameras, and into video files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


class ImageFiles(Sequence[np.ndarray]):
    """Image files as frames, decoded when they are asked for: uint8 [H, W, 3] RGB, all of the same size."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._size: tuple[int, int] | None = None

    @classmethod
    def of(cls, folder: str | Path) -> ImageFiles:
        """All images of a folder in the order of their names. Raises FileNotFoundError when there are none."""
        files = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise FileNotFoundError(f"no images in {folder} (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
        return cls(files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index):  # an int gives a frame, a slice gives ImageFiles
        if isinstance(index, slice):
            return ImageFiles(self.files[index])
        path = self.files[index]
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{path}: frame {index} cannot be decoded as an image")
        self._size = self._size or image.shape[:2]
        if image.shape[:2] != self._size:
            raise ValueError(f"{path}: frame {index} has size {image.shape[:2]}, the frames before it {self._size}")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


class VideoReader:
    """Frames of a video file, a camera (an index like 0), or a folder of images, in order: uint8 [H, W, 3] RGB.

    `fps` is the source's own rate (`fallback_fps` for images and where the file doesn't say), `count` the number of
    frames or None where that isn't known. Raises FileNotFoundError or ValueError when the source can't be opened.
    """

    def __init__(self, source: str | Path | int, fallback_fps: float = 24.0) -> None:
        self.source = source
        self.fps, self.count = fallback_fps, None
        self._images: ImageFiles | None = None
        self._capture: cv2.VideoCapture | None = None
        self._next = 0
        if not isinstance(source, int) and Path(source).is_dir():
            self._images = ImageFiles.of(source)
            self.count = len(self._images)
            return
        if not isinstance(source, int) and not Path(source).is_file():
            raise FileNotFoundError(f"{source}: no such video file or folder of images")
        self._capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
        if not self._capture.isOpened():
            raise ValueError(f"{source}: cannot be opened as a video")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        if 0.5 <= fps <= 1000:  # cameras and broken headers report 0 or NaN
            self.fps = float(fps)
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 else None

    def read(self) -> np.ndarray | None:
        """The next frame, None at the end."""
        if self._images is not None:
            if self._next >= len(self._images):
                return None
            frame = self._images[self._next]
        else:
            ok, image = self._capture.read()
            if not ok:
                if self._next == 0:
                    raise ValueError(f"{self.source}: opened, but no frame of it can be decoded")
                return None
            frame = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        self._next += 1
        return frame

    def rewind(self) -> None:
        """Starts again at the first frame. A camera just goes on."""
        if self._capture is not None and not isinstance(self.source, int):
            self._capture.release()
            self._capture = cv2.VideoCapture(str(self.source))
        self._next = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        while (frame := self.read()) is not None:
            yield frame

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


CODECS = {".mp4": ("vp09", "mp4v"), ".webm": ("VP80",), ".avi": ("MJPG",), ".mkv": ("VP80",)}


class VideoWriter:
    """Writes frames, uint8 [H, W, 3] RGB, into a video file; the suffix decides the codec.

    Browsers play .webm (VP8, quick to encode) and .mp4 (VP9, slow; MPEG-4 part 2, which they don't play, where OpenCV
    was built without it). Raises ValueError for another suffix, and when frames change their size.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path, self.fps = Path(path), fps
        if self.path.suffix.lower() not in CODECS:
            raise ValueError(f"{path}: cannot write {self.path.suffix!r} videos, only {', '.join(CODECS)}")
        self._writer: cv2.VideoWriter | None = None
        self._size: tuple[int, int] | None = None

    def write(self, frame: np.ndarray) -> None:
        """Appends one frame; the first decides the size."""
        height, width = frame.shape[:2]
        if self._writer is None:
            self._writer, self._size = self._opened(width, height), (width, height)
        if (width, height) != self._size:
            raise ValueError(f"{self.path}: a frame of size {(width, height)} in a video of size {self._size}")
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

    def _opened(self, width: int, height: int) -> cv2.VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for codec in CODECS[self.path.suffix.lower()]:
            writer = cv2.VideoWriter(
                str(self.path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), self.fps, (width, height)
            )
            if writer.isOpened():
                return writer
        raise OSError(f"{self.path}: cannot be written with {width}x{height} pixels and {self.fps} frames a second")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
