"""Random access to the frames of a video file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sam2_ros.data.clips import ClipError, Lazy
from sam2_ros.data.video_decoder import Decoder
from sam2_ros.data.video_index import Order, VideoIndex


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
        self._idle: list[_Cursor] = []  # a cursor is taken out while a thread uses it

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_idle": []}

    def __len__(self) -> int:
        return self._index.count

    def __getitem__(self, index: Any) -> Any:  # int -> frame, slice -> Lazy
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
    """Maximum number of frames that are decoded and skipped instead of seeking a key frame."""

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
        seeks = start > 0 or (self._index.can_seek and not order.exact)
        threads = not order.damaged
        if self._decoder is None or not self._decoder.is_open or self._decoder.threads != threads or not seeks:
            if self._decoder is not None:
                self._decoder.close()
            self._decoder, seeks = Decoder(self._index.path, threads), start > 0
        packets = self._index.packets_from(self._decoder, order.packets[start] if start else 0) if seeks else None
        frames = self._decoder.frames(packets)
        self._frames = enumerate(frame for _, frame in frames) if order.counted else frames
        self._order, self._start, self._next = order, start, start

    def _advance_to(self, place: int) -> bool:
        """Decode up to a place. Returns whether all frames came in the expected order."""
        order = self._order
        for number, frame in self._frames or ():
            actual = order.places.get(number, -1)
            if 0 <= actual < self._start == self._next:
                continue  # shown before the key frame but stored after it: its references were not decoded
            while self._next in order.lost:
                self._next += 1
            if actual != self._next:
                return False
            if self._start and (frame.is_corrupt or (actual == self._start and not frame.key_frame)):
                return False
            self._next += 1
            if actual == place:
                self._last = actual, frame
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
