"""Frames of video files, image folders and cameras; writing of video files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from sam2_ros.data.clips import ClipError, Lazy
from sam2_ros.data.images import image_files, image_size, read_image
from sam2_ros.data.video_decoder import Decoder, pyav
from sam2_ros.data.video_index import Order, VideoIndex, frame_rate


class ImageFiles(Sequence[np.ndarray]):
    """Image files as frames, decoded lazily: uint8 [H, W, 3] RGB, all of the same size.

    Access raises ClipError if a file is missing, damaged, or of another size than the first one.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._size: tuple[int, int] | None = None

    @classmethod
    def of(cls, folder: str | Path) -> ImageFiles:
        """All images of a folder in natural order. Raises ClipError if there are none."""
        return cls(image_files(Path(folder)))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index):  # int -> frame, slice -> ImageFiles
        if isinstance(index, slice):
            return ImageFiles(self.files[index])
        index = range(len(self.files))[index]
        image = read_image(self.files[index], index)
        self._size = self._size or image_size(self.files[0], 0)
        if image.shape[:2] != self._size:
            height, width = self._size
            problem = f"is {image.shape[1]} x {image.shape[0]} pixels, but the first frame is {width} x {height}"
            raise ClipError(self.files[index], problem, index)
        return image

    def __iter__(self) -> Iterator[np.ndarray]:  # Sequence's own would end at an IndexError in decoding
        return (self[index] for index in range(len(self)))


class VideoFrames(Sequence[np.ndarray]):
    """Random access to the frames of a video file, decoded lazily: uint8 [H, W, 3] RGB.

    Frames have the order and number of decoding the file from its start, regardless of the container's metadata.
    Sequential access is fast; a jump decodes from the previous key frame. Iterators are independent. The sequence is
    thread-safe, and can be pickled and forked.

    `fps` is the average frame rate, 0 if unknown; `size` is height and width. Raises ClipError if the file, or one of
    its frames, can't be decoded, and ImportError without PyAV.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        if not self.file.is_file():
            raise ClipError(self.file, "the video is missing")
        self._index = VideoIndex(self.file)
        self.fps, self.size = self._index.fps, self._index.size
        self._idle: list[_Cursor] = []  # each is taken out while a thread uses it

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_idle": []}

    def __len__(self) -> int:
        return self._index.count

    def __getitem__(self, index):  # int -> frame, slice -> Lazy
        if isinstance(index, slice):
            return Lazy(len(self), self.__getitem__)[index]
        index = range(len(self))[index]
        try:
            cursor = self._idle.pop()
        except IndexError:
            cursor = _Cursor(self._index)
        try:
            return cursor.frame(index)
        finally:
            self._idle.append(cursor)

    def __iter__(self) -> Iterator[np.ndarray]:
        cursor = _Cursor(self._index)
        try:
            for index in range(len(self)):
                yield cursor.frame(index)
        finally:
            cursor.close()


class _Cursor:
    """A position in a video from which frames are decoded, one at a time. The file stays open until the last frame."""

    MAX_SKIP = 4
    """Frames that are decoded and skipped rather than seeking a key frame."""

    def __init__(self, index: VideoIndex) -> None:
        self._index = index
        self._order = index.order
        self._decoder: Decoder | None = None
        self._frames: Iterator[tuple[int, Any]] | None = None  # None: at the end
        self._start = 0  # place at which decoding began
        self._next = 0  # place of the frame that comes next
        self._last: tuple[int, Any] = (-1, None)  # place and frame

    def frame(self, place: int) -> np.ndarray:
        """The frame at a place. Raises ClipError."""
        while self._last[0] != place or self._order is not self._index.order:
            order = self._index.order
            if place in order.lost or place >= len(order.packets):
                raise self._error("cannot be decoded from here on", place)
            if not self._is_before(place, order):
                self._begin(order.start(place), order)
            if not self._advance_to(place):
                self._correct(place)
        assert self._decoder is not None
        image = self._decoder.pixels(self._last[1])
        if place == self._index.count - 1:
            self.close()
        if image.shape[:2] != self._index.size:
            (height, width), first = image.shape[:2], self._index.size
            raise self._error(f"is {width} x {height} pixels, but the first frame is {first[1]} x {first[0]}", place)
        return image

    def close(self) -> None:
        self._frames = None
        if self._decoder is not None:
            self._decoder.close()

    def _error(self, problem: str, place: int) -> ClipError:
        return ClipError(self._index.file, problem, place)

    def _is_before(self, place: int, order: Order) -> bool:
        """Whether to continue decoding from here, instead of seeking."""
        if self._frames is None or order is not self._order or self._decoder is None or not self._decoder.is_open:
            return False
        start = order.start(place)
        return self._next <= place and start <= self._next + self.MAX_SKIP and (start > 0 or self._start == 0)

    def _begin(self, start: int, order: Order) -> None:
        self._frames = None
        # Seeking to the start works, too, but an exact order holds for a new decoder.
        sought = start > 0 or (self._index.can_seek and not order.exact)
        threads = not order.damaged
        if self._decoder is None or not self._decoder.is_open or self._decoder.threads != threads or not sought:
            if self._decoder is not None:
                self._decoder.close()
            self._decoder, sought = Decoder(self._index.path, threads), start > 0
        packets = self._index.packets_from(self._decoder, order.packets[start] if start else 0) if sought else None
        frames = self._decoder.frames(packets)
        self._frames = enumerate(frame for _, frame in frames) if order.counted else frames
        self._order, self._start, self._next = order, start, start

    def _advance_to(self, place: int) -> bool:
        """Decode up to a place. Returns whether all frames came in the expected order."""
        order = self._order
        for number, frame in self._frames or ():
            found = order.places.get(number, -1)
            if 0 <= found < self._start == self._next:
                continue  # shown before the key frame but stored after it: its references were not decoded
            while self._next in order.lost:
                self._next += 1
            if found != self._next:
                return False
            if self._start and (frame.is_corrupt or (found == self._start and not frame.key_frame)):
                return False
            self._next += 1
            if found == place:
                self._last = found, frame
                return True
        return False

    def _correct(self, place: int) -> None:
        """Correct the order after unexpected frames. Raises ClipError if that is impossible."""
        self._frames = None
        if not self._order.exact:
            self._index.decode_all()
        elif self._start:
            self._index.order = self._index.order.without(self._start)
        else:
            raise self._error("cannot be decoded from here on", place)


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
        return len(self._images if self._images is not None else VideoFrames(self.source))

    def read(self) -> np.ndarray | None:
        """The next frame; None at the end. Raises ValueError if there are no frames, or an image is damaged."""
        return next(self._frames, None)

    def rewind(self) -> None:
        """Restart at the first frame; has no effect on a camera."""
        if self._camera is not None:
            self._frames = _camera_frames(self._camera)
        else:
            self._frames = iter(self._images) if self._images is not None else _decoded_frames(Path(self.source))

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


class VideoWriter:
    """Writes frames, uint8 [H, W, 3] RGB, to an MP4 file (H.264), which all players and browsers support.

    Raises ValueError for another suffix, or if frames differ in size; ImportError without PyAV.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise ValueError(f"{path}: cannot write {self.path.suffix!r} videos, only .mp4")
        av = pyav()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._frame = av.VideoFrame.from_ndarray
        self._file = av.open(str(self.path), "w")
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._file.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "18"})
        self._size: tuple[int, int] | None = None

    def write(self, frame: np.ndarray) -> None:
        """Append a frame; the first one sets the size."""
        height, width = frame.shape[:2]
        if self._size is None:
            self._size = self._stream.width, self._stream.height = width, height
            # Chroma at half resolution, which players expect, needs even sides.
            self._stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        if (width, height) != self._size:
            raise ValueError(f"{self.path}: got a frame of size {(width, height)} for a video of size {self._size}")
        self._file.mux(self._stream.encode(self._frame(np.ascontiguousarray(frame), format="rgb24")))

    def close(self) -> None:
        """Complete the file."""
        if self._size is not None:
            self._file.mux(self._stream.encode())
        self._file.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
