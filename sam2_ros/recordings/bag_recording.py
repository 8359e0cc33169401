"""The images of a bag as a recording."""

from __future__ import annotations

import hashlib
import struct
import threading
from array import array
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag2.storage_mcap import McapReader, msgsrc

from sam2_ros.data.bag import clip_errors
from sam2_ros.data.bag_types import IMAGES, MASKLETS, definitions, typestore
from sam2_ros.data.clips import ClipError
from sam2_ros.data.image_message import as_rgb, pixels_of
from sam2_ros.data.value_range import FULL, ValueRange, next_range
from sam2_ros.recordings.recording import SAMPLES, DamagedImage, RecordedImage, Recording

FALLBACK_FPS = 24.0
"""Of a bag with one image."""

BLOCK = 64 << 20
"""Maximum bytes of messages that are held to read backwards, or in an order other than that of recording."""

OWN_OUTPUTS = ("overlay", "overlay/compressed", "labels")
"""Image topics of our node, beside its masklets."""

OWN_NAME = "/sam2"
"""The node's usual name."""

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
        self._left_out: frozenset[tuple[str, int]] = frozenset()  # damaged chunks: name of the file, position
        self._damage = ""  # a sentence about them
        self._values: list[Value] = []  # after each image, from the first on, as far as they were read
        self._values_lock = threading.Lock()
        with self.reader() as reader:
            chosen = _chosen(path, reader, images)
            self.topic, self.kind = chosen[0].topic, chosen[0].msgtype
            try:
                index = _Index.of(reader, chosen)
            except Exception as error:  # rosbags doesn't wrap errors of its parsers, SQLite and decompressors
                if not self.leave_out_damaged_chunks():
                    raise ClipError(path, f"cannot be read: {error or type(error).__name__}") from error
                index = None
        if index is None:
            with self.reader() as reader:
                index = _Index.of(reader, _connections(reader, self.topic))
            index.notices.append(self._damage)
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

    @contextmanager
    def reader(self) -> Iterator[AnyReader]:
        """The bag, opened: everything in it that can be read. For one thread.

        Raises:
            ClipError: it cannot be opened. Errors of reading are those of rosbags.
        """
        with clip_errors(self.path):
            reader = AnyReader([self.path], default_typestore=typestore() if definitions() else None)
            reader.open()
        try:
            if self._left_out:
                for storage in _storages(reader):
                    storage.chunks[:] = [
                        chunk for chunk in storage.chunks if _key(storage, chunk) not in self._left_out
                    ]
            yield reader
        finally:
            reader.close()

    @property
    def damaged_chunks(self) -> frozenset[tuple[str, int]]:
        """The chunks of MCAP files that are left out: name of the file, and byte at which the chunk begins."""
        return self._left_out

    def leave_out_damaged_chunks(self) -> bool:
        """Search the chunks of MCAP files for damaged ones, and leave those out of every `reader` from now on.

        Reads everything once. Returns whether there are any.
        """
        damaged, lost = set[tuple[str, int]](), 0
        with self.reader() as reader:
            for storage in _storages(reader):
                channels = [one.id for one in storage.connections if one.topic == self.topic]
                assert storage.bio is not None
                for chunk in storage.chunks:
                    try:
                        deque(msgsrc(chunk, {}, 0, 0, storage.bio), maxlen=0)
                    except Exception:  # see above
                        damaged.add(_key(storage, chunk))
                        lost += sum(chunk.channel_count.get(channel, 0) for channel in channels)
        self._left_out |= damaged
        if damaged:
            self._damage = f"damaged chunks, left out with {lost} images on {self.topic}: {len(damaged)}"
        return bool(damaged)

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

    def _decoded(self, reader: AnyReader, data: bytes) -> tuple[np.ndarray | None, str]:
        """The pixels of a message, uint8 or uint16; or None and why there are none."""
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

    def _messages(self, reader: AnyReader, indices: range) -> Iterator[tuple[int, bytes]]:
        """The messages of these images, in this order. Raises ClipError."""
        try:
            if self._sequential and indices.step > 0:
                yield from self._recorded(reader, indices)
                return
            for block in self._blocks(indices):
                held = dict(self._recorded(reader, block if block.step > 0 else block[::-1]))
                for index in block:
                    yield index, held.pop(index)
        except ClipError:
            raise
        except Exception as error:  # see above
            raise ClipError(self.path, f"cannot be read any further: {error or type(error).__name__}") from error

    def _recorded(self, reader: AnyReader, indices: range) -> Iterator[tuple[int, bytes]]:
        """The messages of these ascending images, in the order of recording."""
        times = self.times[indices.start : indices.stop]
        missing = len(indices)
        connections = _connections(reader, self.topic)
        for _, time, data in reader.messages(connections, int(times.min()), int(times.max()) + 1):
            try:
                stamp = _stamp(data) or time
            except struct.error:
                continue
            index = bisect_left(self.stamps, stamp, indices.start, indices.stop)
            if index < indices.stop and self.stamps[index] == stamp and self.times[index] == time:
                missing -= 1
                yield index, data
        if missing > 0:
            raise ClipError(self.path, f"{missing} images are missing; the bag has changed while it was read")

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
                    content.update(data)
        return content.hexdigest()[:32]


class _Index:
    """Stamps, times and sizes of the images of a bag, in the order of recording."""

    def __init__(self) -> None:
        self.stamps: list[int] = []
        self.times: list[int] = []
        self.sizes: list[int] = []
        self.frame_id = ""
        self.ascending = True
        """Whether images were recorded in the order of their stamps, and are read in that of recording."""
        self.notices: list[str] = []

    @classmethod
    def of(cls, reader: AnyReader, connections: Collection[Connection]) -> _Index:
        index, seen, notices = cls(), set[int](), Counter[str]()
        last_stamp = last_time = -(2**63)
        for _, time, data in reader.messages(connections):
            try:
                recorded = _stamp(data)
                stamp = recorded or time
                index.frame_id = index.frame_id or _frame_id(data)
            except (struct.error, IndexError):
                notices["images on {} that are cut off before their stamp, left out"] += 1
                continue
            if stamp in seen:
                notices["images on {} with the stamp of an earlier one, left out"] += 1
                continue
            if not recorded:
                notices["images on {} without a stamp, which get the time of recording"] += 1
            index.ascending &= stamp > last_stamp and time > last_time
            last_stamp, last_time = stamp, time
            seen.add(stamp)
            index.stamps.append(stamp)
            index.times.append(time)
            index.sizes.append(len(data))
        topic = next(iter(connections)).topic
        index.notices = [f"{text.format(topic)}: {count}" for text, count in notices.items()]
        return index


def _chosen(path: Path, reader: AnyReader, topic: str | None) -> list[Connection]:
    """The connections of the images' topic. Raises ClipError."""
    counts = Counter[str]()
    for connection in reader.connections:
        if connection.msgtype in IMAGES:
            counts[connection.topic] += connection.msgcount
    if topic is not None:
        if topic not in counts:
            raise ClipError(
                path, f"there is no topic {topic} of images; there are: {', '.join(sorted(counts)) or 'none'}"
            )
        return _connections(reader, topic)
    candidates = sorted(topic for topic, count in counts.items() if count)
    if not candidates:
        kinds = " or ".join(IMAGES)
        others = sorted({f"{connection.topic} ({connection.msgtype})" for connection in reader.connections})
        known = ", ".join(others[:8]) + (" ..." if len(others) > 8 else "") or "none"
        raise ClipError(path, f"there are no images ({kinds}); its topics: {known}")
    own = {connection.topic.rpartition("/")[0] for connection in reader.connections if connection.msgtype == MASKLETS}
    outputs = {f"{node}/{output}" for node in own | {OWN_NAME} for output in OWN_OUTPUTS}
    copies = {f"{topic}/compressed" for topic in candidates}
    cameras = [topic for topic in candidates if topic not in outputs | copies] or candidates
    if len(cameras) > 1:
        cameras = [topic for topic in cameras if not _is_depth(reader, topic)] or cameras
    if len(cameras) > 1:
        named = ", ".join(f"{topic} ({counts[topic]} images)" for topic in cameras)
        raise ClipError(path, f"there are several topics of images: {named}; choose one with --images TOPIC")
    return _connections(reader, cameras[0])


def _connections(reader: AnyReader, topic: str) -> list[Connection]:
    """The connections of a topic of images, all of the first one's type."""
    found = [one for one in reader.connections if one.topic == topic and one.msgtype in IMAGES]
    return [one for one in found if one.msgtype == found[0].msgtype]


def _is_depth(reader: AnyReader, topic: str) -> bool:
    """Whether the first image of a topic has depth, judging by its encoding."""
    connections = _connections(reader, topic)
    try:
        for _, _, data in islice(reader.messages(connections), 1):
            message: Any = reader.deserialize(data, connections[0].msgtype)
            encoding = getattr(message, "encoding", "") or message.format
            return "compressedDepth" in encoding or encoding.partition(";")[0].strip() in ("16UC1", "32FC1")
    except Exception:  # damaged: the user chooses
        pass
    return False


def _storages(reader: AnyReader) -> Iterator[McapReader]:
    """The MCAP files of a bag that have chunks."""
    for one in reader.readers:
        storage = getattr(one, "storage", None)
        for part in getattr(storage, "storages", [storage]):
            if isinstance(part, McapReader) and part.chunks:
                yield part


def _key(storage: McapReader, chunk: Any) -> tuple[str, int]:
    return Path(str(storage.path)).name, int(chunk.chunk_start_offset)


def _stamp(data: bytes) -> int:
    """Stamp of a serialised message that begins with a header, ns. Raises struct.error or IndexError."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return int(seconds * 1_000_000_000 + nanoseconds)


def _frame_id(data: bytes) -> str:
    """Frame of a serialised message that begins with a header. Raises struct.error."""
    (length,) = struct.unpack_from("<I" if data[1] & 1 else ">I", data, 12)
    return bytes(data[16 : 16 + min(length, 256)]).rstrip(b"\0").decode("utf-8", "replace")
