"""The images of a bag as a recording."""

from __future__ import annotations

import hashlib
import struct
import threading
from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from sam2_ros.data.clips import ClipError
from sam2_ros.data.image_message import as_rgb, pixels_of
from sam2_ros.data.value_range import FULL, ValueRange, next_range
from sam2_ros.recordings.bag_reader import BagReader, Damage
from sam2_ros.recordings.image_index import ImageIndex, image_stamp
from sam2_ros.recordings.image_topic import chosen_topic, connections_of
from sam2_ros.recordings.recording import SAMPLES, DamagedImage, RecordedImage, Recording

FALLBACK_FPS = 24.0
"""Of a bag with one image."""

BLOCK = 64 << 20
"""Maximum bytes of messages that are held to read backwards, or in an order other than that of recording."""

Value = tuple[ValueRange | None, tuple[int, ...]]
"""The values of 16-bit images that become black and white, and the shape of these images."""


class BagRecording(Recording):
    """The images of one topic of a bag (MCAP or SQLite), with the pixels that a live node gets from them.

    The order is that of stamps; of several images with one stamp, the first counts. Images without a stamp have the
    time at which they were recorded, as a live node gives them the time of their arrival.

    Opening reads the stamps of all images. Later reading is sequential; only where images were recorded in another
    order than that of their stamps, it is done in blocks, which may be slower.

    Args:
        path: the bag's folder or file.
        images: topic of Image or CompressedImage. None: the only one, without those of depth, those of our node, and
            `<topic>/compressed` beside `<topic>`.

    Raises:
        ClipError: the bag can't be read, has no images, or has several topics of images.
    """

    topic: str
    """Of the images."""
    kind: str
    """Their type: sensor_msgs/msg/Image or CompressedImage."""
    times: np.ndarray
    """When images were recorded, ns: int64 [T]."""

    def __init__(self, path: Path, images: str | None = None) -> None:
        self.path = path
        self._damage: Damage = {}
        self._values: list[Value] = []  # after each image, from the first on, as far as they were read
        self._values_lock = threading.Lock()
        with self.reader() as reader:
            self.topic = chosen_topic(reader, images)
            connections = connections_of(reader, self.topic)
            self.kind = connections[0].msgtype
            index = ImageIndex.of(reader, connections)
        if not index.stamps:
            others = f" ({'; '.join(index.notices)})" if index.notices else ""
            raise ClipError(path, f"there are no images on {self.topic}{others}")
        order = np.argsort(np.array(index.stamps, np.int64), kind="stable")
        self.times = np.array(index.times, np.int64)[order]
        self._sizes = np.array(index.sizes, np.int64)[order]
        self._sequential = index.ascending and bool((np.diff(self.times) > 0).all())
        stamps = array("q", np.array(index.stamps, np.int64)[order].tobytes())
        middle = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0
        super().__init__(path, stamps, 1e9 / middle if middle else FALLBACK_FPS, index.frame_id, index.notices)

    def reader(self) -> BagReader:
        """The bag, opened: everything in it that can be read. A context manager, for one thread. Raises ClipError."""
        return BagReader(self.path, self._damage)

    @property
    def damaged_chunks(self) -> frozenset[tuple[str, int]]:
        """The damaged chunks of MCAP files that were met so far: name of the file, and byte at which each begins."""
        return frozenset(self._damage)

    def _read(self, indices: range) -> Generator[RecordedImage | DamagedImage | None, None, None]:
        with self.reader() as reader:
            for index, data in self._messages(reader, indices):
                pixels, reason = self._decoded(reader, data)
                if pixels is None:
                    self._note_value(index, None)
                    yield DamagedImage(index, reason)
                    continue
                values = FULL
                if pixels.dtype == np.uint16:
                    yield from self._values_before(index)
                    values = self._note_value(index, pixels)
                else:
                    self._note_value(index, None)
                yield RecordedImage(index, self.stamps[index], as_rgb(pixels, values))

    def _decoded(self, reader: BagReader, data: bytes | None) -> tuple[np.ndarray | None, str]:
        """The pixels of a message, uint8 or uint16; or None and why there are none."""
        if data is None:
            return None, "its part of the bag is damaged"
        try:
            return pixels_of(reader.deserialize(data, self.kind)), ""
        except Exception as error:  # rosbags doesn't wrap all errors of cut or random bytes
            return None, str(error) or type(error).__name__

    def _values_before(self, index: int) -> Iterator[None]:
        """Read all images before this one whose values are not known yet."""
        if len(self._values) >= index:
            return
        with self.reader() as reader:
            for earlier, data in self._messages(reader, range(len(self._values), index)):
                pixels, _ = self._decoded(reader, data)
                self._note_value(earlier, pixels)
                yield None

    def _note_value(self, index: int, pixels: np.ndarray | None) -> ValueRange:
        """The values of a 16-bit image, as in a node that has received all earlier ones. None: another image."""
        with self._values_lock:
            if index == len(self._values):
                values, shape = self._values[-1] if self._values else (None, ())
                if pixels is not None and pixels.dtype == np.uint16:  # as ImageDecoder
                    values, shape = next_range(values if pixels.shape == shape else None, pixels), pixels.shape
                self._values.append((values, shape))
            return (self._values[index][0] if index < len(self._values) else None) or FULL

    def _messages(self, reader: BagReader, indices: range) -> Iterator[tuple[int, bytes | None]]:
        """The messages of these images, in this order; None: it can't be read. Raises ClipError."""
        if self._sequential and indices.step > 0:
            following = indices.start
            for index, data in self._recorded(reader, indices):
                if index >= following:
                    yield from ((lost, None) for lost in range(following, index))
                    yield index, data
                    following = index + 1
            yield from ((lost, None) for lost in range(following, indices.stop))
            return
        for block in self._blocks(indices):
            held: dict[int, bytes] = {}
            for index, data in self._recorded(reader, block if block.step > 0 else block[::-1]):
                held.setdefault(index, data)
            for index in block:
                yield index, held.pop(index, None)

    def _recorded(self, reader: BagReader, indices: range) -> Iterator[tuple[int, bytes]]:
        """The messages of these ascending images, in the order of recording. One may come twice."""
        times = self.times[indices.start : indices.stop]
        connections = connections_of(reader, self.topic)
        for _, time, data in reader.messages(connections, int(times.min()), int(times.max()) + 1):
            try:
                stamp = image_stamp(data) or time
            except (struct.error, IndexError):
                continue
            index = bisect_left(self.stamps, stamp, indices.start, indices.stop)
            if index < indices.stop and self.stamps[index] == stamp and self.times[index] == time:
                yield index, data

    def _blocks(self, indices: range) -> Iterator[range]:
        """Consecutive parts, each of at least one image and, if possible, of no more than BLOCK bytes."""
        first, total = 0, 0
        for place, index in enumerate(indices):
            size = int(self._sizes[index])
            if place > first and total + size > BLOCK:
                yield indices[first:place]
                first, total = place, 0
            total += size
        yield indices[first:]

    def _content(self) -> str:
        content = hashlib.sha256(f"bag {self.topic} {self.kind} {len(self)}".encode())
        for numbers in (np.array(self.stamps, "<i8"), self.times, self._sizes):
            content.update(np.ascontiguousarray(numbers, "<i8").tobytes())
        with self.reader() as reader:
            for index in range(0, len(self), max(1, len(self) // SAMPLES)):
                for _, data in self._messages(reader, range(index, index + 1)):
                    content.update(data or b"damaged")
        return content.hexdigest()[:32]
