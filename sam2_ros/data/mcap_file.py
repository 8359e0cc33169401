"""MCAP files that lose no more than their last chunk, whatever becomes of the disk or of the process that writes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    Message,
    MessageIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC

CHUNK_SIZE = 1 << 20
"""Bytes after which a chunk is written."""

COMPRESSION_LEVEL = -1
"""Of zstd. Masklets take a quarter of the space, rendered and smooth images a third. Those of a camera are noise in the
last bits: level 1 makes 7 % of them, for a fifth of a core at 1280x720; this one passes them on, at 10 GB/s."""

METADATA_ROOM = 16 << 10
"""Bytes that are kept free for metadata.yaml."""

RESERVED_AHEAD = 16 << 20
"""Bytes that a file grows by at a time: zeros, until they are written or the file is complete."""

SPARE = 4 << 20
"""Bytes of chunks that are given up at most for an index, beside as many as it has itself."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

LARGEST_RECORD = 0x7FFFF000
"""Bytes that Linux reads at once. A length above this is no length, but damage."""

_HEAD = struct.Struct("<BQ")  # opcode and length, before the content of each record


@dataclass
class Index:
    """What an MCAP file holds and where: its summary section."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[tuple[ChunkIndex, dict[int, int]]] = field(default_factory=list)
    """Each with its number of messages by channel."""

    @property
    def counts(self) -> dict[int, int]:
        """Messages by channel."""
        total = dict.fromkeys(self.channels, 0)
        for _, counts in self.chunks:
            for channel, count in counts.items():
                total[channel] = total.get(channel, 0) + count
        return total

    @property
    def times(self) -> tuple[int, int]:
        """Of the first and of the last message, ns; (0, 0) without messages."""
        if not self.chunks:
            return 0, 0
        return (
            min(chunk.message_start_time for chunk, _ in self.chunks),
            max(chunk.message_end_time for chunk, _ in self.chunks),
        )

    def section(self, start: int) -> bytes:
        """The end of a file of which the data ends at byte `start`: end of data, summary, footer."""
        records = RecordBuilder()
        DataEnd(0).write(records)
        end_of_data = records.end()
        start += len(end_of_data)
        (first, last), counts = self.times, self.counts
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self.channels),
            channel_message_counts={channel: count for channel, count in counts.items() if count},
            chunk_count=len(self.chunks),
            message_count=sum(counts.values()),
            message_end_time=last,
            message_start_time=first,
            metadata_count=0,
            schema_count=len(self.schemas),
        )
        groups = {
            Opcode.SCHEMA: list(self.schemas.values()),
            Opcode.CHANNEL: list(self.channels.values()),
            Opcode.STATISTICS: [statistics],
            Opcode.CHUNK_INDEX: [chunk for chunk, _ in self.chunks],
        }
        offsets = []
        for opcode, group in groups.items():
            begin = records.count
            for record in group:
                record.write(records)
            if group:
                offsets.append(SummaryOffset(opcode, start + begin, records.count - begin))
        offsets_start = start + records.count
        for offset in offsets:
            offset.write(records)
        summary = records.end()
        # The checksum covers the footer too, up to itself.
        covered = summary + _HEAD.pack(Opcode.FOOTER, 8 + 8 + 4) + struct.pack("<QQ", start, offsets_start)
        Footer(start, offsets_start, zlib.crc32(covered)).write(records)
        return end_of_data + summary + records.end() + MCAP0_MAGIC


class McapFile:
    """An MCAP file that is being written. Messages wait until their chunk is full, or for `flush`.

    Nothing is written over but what follows the last whole chunk; so a file that was never completed can be recovered
    up to there. Topics and their types stand outside of the chunks.

    Args:
        path: of the file; must not exist.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._open(path, "x+b")
        records = RecordBuilder()
        Header("ros2", "sam2_ros").write(records)
        self._append_data(MCAP0_MAGIC, records.end(), in_index=512)

    @classmethod
    def recover(cls, path: Path) -> tuple[McapFile, int]:
        """Opens a file that was never completed, so that it can be; and how many of its chunks are damaged.

        Chunks that are damaged stay where they are, but are not in the index. What follows the last whole record goes,
        if it is the beginning of one; if it is anything else, it is kept in `<path>.rest`.

        Raises:
            ValueError: it is no MCAP file, it is one without chunks, or it is being written.
            OSError: it cannot be read or written.
        """
        file = cls.__new__(cls)
        file._open(path, "r+b")
        try:
            scan = Scan(file._file, path)
            file.index, file._end = scan.index, scan.end
            if scan.strange:
                rest = path.with_name(f"{path.name}.rest")
                with open(rest, "xb") as kept:
                    file._file.seek(scan.end)
                    while data := file._file.read(CHUNK_SIZE):
                        kept.write(data)
            if scan.without_index:  # the writer got no further than the chunk
                chunk, entries = scan.without_index
                records = RecordBuilder()
                _index_messages(chunk, entries, file._end, records)
                file._append(records.end())
                file.index.chunks.append((chunk, {channel: len(group) for channel, group in entries.items()}))
        except BaseException:
            file.close()
            raise
        return file, scan.damaged

    def _open(self, path: Path, mode: str) -> None:
        self.path = path
        self.index = Index()
        """Of what is in the file; what waits for its chunk is not."""
        self._end = 0  # of what is whole
        self._reserved = 0  # bytes of the disk that are ours
        self._index_size = 0  # bytes that it takes at most
        self._records = RecordBuilder()  # of the chunk
        self._entries: dict[int, list[tuple[int, int]]] = defaultdict(list)  # times and offsets in it, by channel
        self._compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
        self._file = open(path, mode, buffering=0)  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ValueError(f"{path} is still being recorded") from None
        except OSError:
            pass  # a network's file system that has no locks

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self._end

    def add_channel(self, topic: str, kind: str, definition: str, metadata: dict[str, str]) -> int:
        """Adds a topic of a type whose definition is a ros2msg text. Returns its number.

        Raises:
            OSError: there is no room for it.
        """
        records = RecordBuilder()
        schema = next((one for one in self.index.schemas.values() if one.name == kind), None)
        if schema is None:
            schema = Schema(len(self.index.schemas) + 1, definition.encode(), "ros2msg", kind)
            schema.write(records)
        channel = Channel(len(self.index.channels) + 1, topic, "cdr", metadata, schema.id)
        channel.write(records)
        in_index = records.count + 10  # there, too
        self._append_data(records.end(), in_index=in_index)
        self.index.schemas[schema.id] = schema
        self.index.channels[channel.id] = channel
        return channel.id

    def write(self, channel: int, time: int, data: bytes) -> None:
        """Adds a message, received at `time`, ns. Raises OSError: see `flush`."""
        self._entries[channel].append((time, self._records.count))
        Message(channel, time, data, time, 0).write(self._records)
        if self._records.count > CHUNK_SIZE:
            self.flush()

    def flush(self) -> None:
        """Writes the chunk. From then on, the end of this process loses nothing of it.

        Raises:
            OSError: there is no room for it. Then it is lost; what was written before can still be completed.
        """
        entries, self._entries = self._entries, defaultdict(list)
        if not entries:
            return
        data = self._records.end()
        packed, compression = self._compressor.compress(data), "zstd"
        if len(packed) > 0.97 * len(data):  # such as JPEG; then nobody has to wait for decompression either
            packed, compression = data, ""
        times = [time for group in entries.values() for time, _ in group]
        chunk = Chunk(compression, b"", max(times), min(times), zlib.crc32(data), len(data))
        records = RecordBuilder()
        chunk.write(records)
        head = bytearray(records.end())  # without the data, which may be a large image, and is copied often enough
        _HEAD.pack_into(head, 0, Opcode.CHUNK, len(head) - _HEAD.size + len(packed))
        struct.pack_into("<Q", head, len(head) - 8, len(packed))
        chunk.data = packed
        start, length = self._end, len(head) + len(packed)
        index = _index(chunk, start, length)
        _index_messages(index, entries, start + length, records)
        self._append_data(head, packed, records.end(), in_index=128 + 10 * len(entries))
        self.index.chunks.append((index, {channel: len(group) for channel, group in entries.items()}))

    def sync(self) -> None:
        """Waits until what is written is on the disk, where a power failure does not lose it. Raises OSError."""
        os.fdatasync(self._file.fileno())

    @property
    def free(self) -> int:
        """Bytes that its disk has left."""
        disk = os.fstatvfs(self._file.fileno())
        return disk.f_bavail * disk.f_frsize

    @property
    def is_removed(self) -> bool:
        """Whether somebody has deleted the file."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def complete(self) -> int:
        """Writes the index, over the last chunks if there is no room for it elsewhere. Returns how many these were.

        Messages that still wait for their chunk are lost: `flush` comes first.

        Raises:
            OSError: there is no room even so, or the disk is broken. What is in the file can be recovered later.
        """
        whole, given_up = self._end, 0
        while True:
            end = self._end
            section = self.index.section(end)
            try:
                self._append(section)
            except OSError as error:
                # Room has been made for the index where the file system can do that. If this is not enough, nothing is.
                if error.errno not in NO_ROOM or not self.index.chunks or whole - end > len(section) + SPARE:
                    raise
                chunk, _ = self.index.chunks.pop()
                self._end = chunk.chunk_start_offset
                given_up += 1
            else:
                # Not before: it has been written to where there was room, also if other processes fill the disk.
                self._file.truncate(self._end)
                self._end, self._reserved = end, 0
                return given_up

    def close(self) -> None:
        self._file.close()

    def _append(self, *parts: bytes | bytearray) -> None:
        """Writes all of them at the end, or raises OSError and leaves the end where it was."""
        position = self._end
        for view in map(memoryview, parts):
            while view:
                written = os.pwrite(self._file.fileno(), view, position)
                view, position = view[written:], position + written
        self._end = position

    def _append_data(self, *parts: bytes | bytearray, in_index: int) -> None:
        """Writes all of it at the end, if the index (where it takes so many bytes) and metadata.yaml still fit.

        Raises OSError, and leaves the end where it was.
        """
        needed = self._end + sum(map(len, parts)) + self._index_size + in_index + METADATA_ROOM
        if needed > self._reserved:
            for ahead in (RESERVED_AHEAD, 0):
                try:
                    os.posix_fallocate(self._file.fileno(), 0, needed + ahead)
                except OSError as error:
                    if error.errno not in NO_ROOM:
                        break  # not on this file system
                    if not ahead:
                        raise
                else:
                    self._reserved = needed + ahead
                    break
        self._append(*parts)
        self._index_size += in_index


def _index_messages(
    chunk: ChunkIndex, entries: dict[int, list[tuple[int, int]]], start: int, records: RecordBuilder
) -> None:
    """Adds where messages are in a chunk, which stands before byte `start`."""
    begin = records.count
    for channel, group in entries.items():
        chunk.message_index_offsets[channel] = start + records.count - begin
        MessageIndex(channel, group).write(records)
    chunk.message_index_length = records.count - begin


def _index(chunk: Chunk, start: int, length: int) -> ChunkIndex:
    return ChunkIndex(
        chunk_length=length,
        chunk_start_offset=start,
        compression=chunk.compression,
        compressed_size=len(chunk.data),
        message_end_time=chunk.message_end_time,
        message_index_length=0,
        message_index_offsets={},
        message_start_time=chunk.message_start_time,
        uncompressed_size=chunk.uncompressed_size,
    )


class Scan:
    """Reads a file from its beginning, as far as it is whole."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.index = Index()
        self.end = 0
        """After the last whole record of data."""
        self.damaged = 0
        """Chunks."""
        self.strange = False
        """Whether what follows is something else than the beginning of a record, an index, or zeros."""
        self.without_index: tuple[ChunkIndex, dict[int, list[tuple[int, int]]]] | None = None
        """The last chunk, if the index of its messages is not behind it."""
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._last: tuple[ChunkIndex, dict[int, list[tuple[int, int]]]] | None = None  # whose index is looked for
        self._loose = False  # messages outside of chunks
        file.seek(0)
        if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
            raise ValueError(f"{path} is not an MCAP file, or nothing of it has been written")
        self.end = len(MCAP0_MAGIC)
        while self._record():
            pass
        self._close_chunk(is_last=True)
        if self._loose and not self.index.chunks:
            raise ValueError(f"{path} was written without chunks; `mcap recover` (mcap.dev) can read it")

    def _record(self) -> bool:
        """Reads the next one; whether there was one."""
        self._file.seek(self.end)
        head = self._file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return False
        opcode, length = _HEAD.unpack(head)
        if opcode in (Opcode.DATA_END, Opcode.FOOTER):
            return False
        known = Opcode.HEADER <= opcode <= Opcode.DATA_END or opcode >= 0x80
        if not known or length > LARGEST_RECORD:
            self.strange = any(head) or self._is_more_than_zeros()
            return False
        after = self.end + _HEAD.size + length
        if after > self._size:
            return False
        if opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.CHUNK, Opcode.MESSAGE_INDEX):
            content = self._file.read(length)
            if opcode != Opcode.MESSAGE_INDEX:
                self._close_chunk()
            self._take(opcode, content, after - self.end)
        self._loose = self._loose or opcode == Opcode.MESSAGE
        self.end = after
        return True

    def _take(self, opcode: int, content: bytes, length: int) -> None:
        stream = ReadDataStream(BytesIO(content))
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream)
            self.index.schemas.setdefault(schema.id, schema)
        elif opcode == Opcode.CHANNEL:
            channel = Channel.read(stream)
            self.index.channels.setdefault(channel.id, channel)
        elif opcode == Opcode.MESSAGE_INDEX:
            if self._last is not None:
                chunk, _ = self._last
                chunk.message_index_offsets[MessageIndex.read(stream).channel_id] = self.end
                chunk.message_index_length += length
        else:
            try:
                chunk = Chunk.read(stream)
                entries = self._look_into(chunk)
            except Exception:  # what decompressors, checksums and records raise
                self.damaged += 1
            else:
                self._last = _index(chunk, self.end, length), entries

    def _look_into(self, chunk: Chunk) -> dict[int, list[tuple[int, int]]]:
        """Times and offsets of the messages of a chunk, by channel."""
        stream, size = get_chunk_data_stream(chunk, validate_crc=True)
        entries: dict[int, list[tuple[int, int]]] = defaultdict(list)
        while (offset := stream.count) < size:
            opcode, length = _HEAD.unpack(stream.read(_HEAD.size))
            content = stream.read(length)
            if opcode == Opcode.MESSAGE:
                channel, _, time = struct.unpack_from("<HIQ", content)
                entries[channel].append((time, offset))
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._take(opcode, content, length)
        return entries

    def _close_chunk(self, is_last: bool = False) -> None:
        if self._last is None:
            return
        (chunk, entries), self._last = self._last, None
        if is_last and chunk.message_index_offsets.keys() != entries.keys():
            self.end = chunk.chunk_start_offset + chunk.chunk_length
            chunk.message_index_offsets.clear()
            chunk.message_index_length = 0
            self.without_index = chunk, entries
        elif entries:
            self.index.chunks.append((chunk, {channel: len(group) for channel, group in entries.items()}))

    def _is_more_than_zeros(self) -> bool:
        """Whether there is anything but zeros, which a power failure leaves."""
        self._file.seek(self.end)
        with contextlib.suppress(OSError):
            while data := self._file.read(CHUNK_SIZE):
                if any(data):
                    return True
        return False
