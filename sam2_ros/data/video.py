"""Frames out of video files, folders of images and cameras, and into video files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from sam2_ros.data.clips import ClipError, Lazy
from sam2_ros.data.images import image_files, image_size, read_image


class ImageFiles(Sequence[np.ndarray]):
    """Image files as frames, decoded when they are asked for: uint8 [H, W, 3] RGB, all of the same size.

    A frame raises ClipError if its file is missing, damaged, or of another size than the first one.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._size: tuple[int, int] | None = None

    @classmethod
    def of(cls, folder: str | Path) -> ImageFiles:
        """All images of a folder in the order of their numbers, or names. Raises ClipError when there are none."""
        return cls(image_files(Path(folder)))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index):  # an int gives a frame, a slice gives ImageFiles
        if isinstance(index, slice):
            return ImageFiles(self.files[index])
        index = range(len(self.files))[index]
        image = read_image(self.files[index], index)
        self._size = self._size or image_size(self.files[0], 0)
        if image.shape[:2] != self._size:
            height, width = self._size
            problem = f"is {image.shape[1]} x {image.shape[0]} pixels, the first frame {width} x {height}"
            raise ClipError(self.files[index], problem, index)
        return image

    def __iter__(self) -> Iterator[np.ndarray]:  # Sequence's own would take an IndexError while decoding for the end
        return (self[index] for index in range(len(self)))


class VideoFrames(Sequence[np.ndarray]):
    """The frames of a video file in any order, decoded when they are asked for: uint8 [H, W, 3] RGB.

    One after the other is quick; a jump costs the decoding from the key frame before. `fps` is the file's frame rate
    (0 where it doesn't say), `size` height and width. Raises ClipError when the file, or one of its frames, can't be
    decoded.
    """

    AHEAD = 16  # up to so many frames are passed over faster than a key frame is looked for

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        if not self.file.is_file():
            raise ClipError(self.file, "the video is missing")
        self._capture = cv2.VideoCapture(str(self.file))
        if not self._capture.isOpened():
            raise ClipError(self.file, "cannot be opened as a video")
        self._next = 0
        self._count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        height, width = (self._capture.get(side) for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
        self.size = (int(height), int(width))
        if self._count <= 0:
            raise ClipError(self.file, "does not say how many frames it has")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index):  # an int gives a frame, a slice gives a lazy sequence
        if isinstance(index, slice):
            return Lazy(len(self), self.__getitem__)[index]
        index = range(self._count)[index]
        if not self._next <= index < self._next + self.AHEAD:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            self._next = index
        while self._next < index and self._capture.grab():
            self._next += 1
        ok, image = self._capture.read()
        if not ok:
            self._next = self._count  # wherever it is now: look for the key frame next time
            raise ClipError(self.file, "cannot be decoded from here on", index)
        self._next += 1
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(self._count))


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


class VideoWriter:
    """Writes frames, uint8 [H, W, 3] RGB, into an MP4 file that every player and browser plays (H.264).

    Raises ValueError for another suffix, and when frames change their size; ImportError without PyAV.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise ValueError(f"{path}: cannot write {self.path.suffix!r} videos, only .mp4")
        try:
            import av  # not at the top: a robot that writes no videos need not have it
        except ImportError as error:
            raise ImportError("writing videos takes PyAV: pip install av") from error
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._frame = av.VideoFrame.from_ndarray
        self._file = av.open(str(self.path), "w")
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._file.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "18"})
        self._size: tuple[int, int] | None = None

    def write(self, frame: np.ndarray) -> None:
        """Appends one frame; the first decides the size."""
        height, width = frame.shape[:2]
        if self._size is None:
            self._size = self._stream.width, self._stream.height = width, height
            # Colour at half resolution, as players expect it, takes even sides.
            self._stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        if (width, height) != self._size:
            raise ValueError(f"{self.path}: a frame of size {(width, height)} in a video of size {self._size}")
        self._file.mux(self._stream.encode(self._frame(np.ascontiguousarray(frame), format="rgb24")))

    def close(self) -> None:
        """Completes the file."""
        if self._size is not None:
            self._file.mux(self._stream.encode())
        self._file.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
