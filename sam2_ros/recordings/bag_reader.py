"""Reading of bags that goes on behind damage."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Collection, Iterator, MutableMapping
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import zstandard
from mcap.opcode import Opcode
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.storage_mcap import ChunkInfo, McapReader, msgsrc
from rosbags.typesys.store import Typestore

from sam2_ros.data.bag import clip_errors
from sam2_ros.data.bag_types import definitions, typestore
from sam2_ros.data.clips import ClipError

HEAD = 256
"""Bytes of the beginning of a message: its stamp, and what fits of its frame."""

_CHUNK = struct.Struct("<BQQQQII")  # up to the name of the compression
_INDEX = struct.Struct("<BQHI")  # up to the entries
_MESSAGE = struct.Struct("<BQHIQQ")  # up to the data

Damage = MutableMapping[tuple[str, int], ChunkInfo]
"""Damaged chunks of MCAP files, by the name of the file and their position."""


class Head(NamedTuple):
    """The beginning of a message."""

    time: int
    """Of recording, ns."""
    size: int
    """Bytes of the whole message."""
    data: bytes
    """HEAD bytes, or more."""


class BagReader:
    """A bag, opened for one thread. Damaged chunks of MCAP files are left out when they are met.

    Args:
        path: the bag's folder or file.
        damage: damaged chunks that are known; those that are met are added.

    Raises:
        ClipError: it can't be opened.
    """

    def __init__(self, path: Path, damage: Damage | None = None) -> None:
        self.path = path
        self.damage: Damage = {} if damage is None else damage
        with clip_errors(path):
            self._reader = AnyReader([path], default_typestore=typestore() if definitions() else None)
            self._reader.open()
        self._forget(self.damage)

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()

    @property
    def connections(self) -> list[Connection]:
        return self._reader.connections

    @property
    def typestore(self) -> Typestore:
        """The types of the bag's messages."""
        return self._reader.typestore

    def deserialize(self, data: bytes, kind: str) -> Any:
        """A message of a type. Raises any error if it is damaged: rosbags doesn't wrap all of them."""
        return self._reader.deserialize(data, kind)

    def messages(
        self, connections: Collection[Connection] = (), start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Messages with their times of recording, ns, in the order of these.

        Args:
            connections: those whose messages are read; none: all.
            start: time of the first.
            stop: time before which the last one was recorded.

        Raises:
            ClipError: it can't be read any further.
        """
        time, given = start, 0  # the messages of this time that were given
        while True:
            skipped = 0
            try:
                for connection, at, data in self._reader.messages(connections, time, stop):
                    if at == time and skipped < given:  # again, after damage
                        skipped += 1
                        continue
                    given = skipped = given + 1 if at == time else 1
                    time = at
                    yield connection, at, data
            except Exception as error:  # rosbags doesn't wrap errors of its parsers, SQLite and decompressors
                if not self._leave_out_damaged(time):
                    problem = f"cannot be read any further: {error or type(error).__name__}"
                    raise ClipError(self.path, problem) from error
            else:
                return

    def heads(self, connections: Collection[Connection]) -> Iterator[Head]:
        """The beginnings of all messages of one topic, in the order of `messages`.

        From MCAP files they are read without the rest, which takes a tenth of the time. Raises ClipError.
        """
        topics = {(connection.topic, connection.msgtype) for connection in connections}
        if not self._has_index():
            for _, time, data in self.messages(connections):
                yield Head(time, len(data), data)
            return
        for file in self._files():
            channels = {one.id for one in file.connections if (one.topic, one.msgtype) in topics}
            heads: list[Head] = []
            for chunk in file.chunks:
                if channels.isdisjoint(chunk.message_index_offsets):
                    continue
                try:
                    heads += _heads(file, chunk, channels)
                except Exception:  # see above; a decompressor may raise whatever it likes
                    self.damage[_key(file, chunk)] = chunk
            yield from sorted(heads, key=attrgetter("time"))
        self._forget(self.damage)

    def _has_index(self) -> bool:
        """Whether beginnings can be read alone."""
        (reader,) = self._reader.readers
        files = list(self._files())
        return (
            isinstance(reader, Reader)
            and reader.compression_mode != "message"
            and len(files) == len(getattr(reader.storage, "storages", [reader.storage]))
            and all(chunk.compression in ("", "zstd") for file in files for chunk in file.chunks)
        )

    def _files(self) -> Iterator[McapReader]:
        """The MCAP files that have chunks."""
        (reader,) = self._reader.readers
        if isinstance(reader, Reader):
            for storage in getattr(reader.storage, "storages", [reader.storage]):
                if isinstance(storage, McapReader) and storage.chunks:
                    yield storage

    def _leave_out_damaged(self, time: int | None) -> bool:
        """Leave the first damaged chunk from a time on out. Returns whether there is one."""
        for file in self._files():
            assert file.bio is not None
            for chunk in sorted(file.chunks, key=attrgetter("message_start_time")):
                if time is None or chunk.message_end_time >= time:
                    try:
                        deque(msgsrc(chunk, {}, 0, 0, file.bio), maxlen=0)
                    except Exception:  # see above
                        self.damage[_key(file, chunk)] = chunk
                        self._forget(self.damage)
                        return True
        return False

    def _forget(self, damage: Damage) -> None:
        """Remove chunks from the index."""
        if damage:
            for file in self._files():
                file.chunks[:] = [chunk for chunk in file.chunks if _key(file, chunk) not in damage]


def _key(file: McapReader, chunk: ChunkInfo) -> tuple[str, int]:
    return Path(str(file.path)).name, chunk.chunk_start_offset


def _heads(file: McapReader, chunk: ChunkInfo, channels: Collection[int]) -> list[Head]:
    """The beginnings of the messages of a chunk, in the order of the file. Raises any error if it is damaged."""
    assert file.bio is not None
    places: list[tuple[int, int]] = []  # and times
    for channel in channels & chunk.message_index_offsets.keys():
        file.bio.seek(chunk.message_index_offsets[channel])
        opcode, _, _, size = _INDEX.unpack(file.bio.read(_INDEX.size))
        if opcode != Opcode.MESSAGE_INDEX or size % 16:
            raise ValueError("the index of a chunk is damaged")
        places += [(place, time) for time, place in struct.iter_unpack("<QQ", file.bio.read(size))]
    start = chunk.chunk_start_offset + _CHUNK.size + len(chunk.compression) + 8
    file.bio.seek(start)
    stream: Any = file.bio
    if chunk.compression:  # decompressed up to the last beginning
        stream, start = zstandard.ZstdDecompressor().stream_reader(file.bio, closefd=False), 0
    heads = []
    for place, expected in sorted(places):
        stream.seek(start + place)
        data = stream.read(_MESSAGE.size + HEAD)
        opcode, length, channel, _, time, _ = _MESSAGE.unpack_from(data)
        size = length - (_MESSAGE.size - 9)
        is_whole = 0 <= size <= chunk.uncompressed_size - place - _MESSAGE.size
        if opcode != Opcode.MESSAGE or channel not in channels or time != expected or not is_whole:
            raise ValueError("there is no message where the index has one")
        heads.append(Head(time, size, data[_MESSAGE.size :][:size]))
    return heads
