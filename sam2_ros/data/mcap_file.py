"""MCAP files that lose no more than their last chunk, whatever becomes of the disk or of the process that writes."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from collections import defaultdict
from pathlib import Path

import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Header, Message, Schema
from mcap.writer import MCAP0_MAGIC

from sam2_ros.data.mcap_index import HEAD, Entries, Index, index_messages, index_of
from sam2_ros.data.mcap_scan import Scan

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
                index_messages(chunk, entries, file._end, records)
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
        self._entries: Entries = defaultdict(list)  # times and offsets in it, by channel
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
        HEAD.pack_into(head, 0, Opcode.CHUNK, len(head) - HEAD.size + len(packed))
        struct.pack_into("<Q", head, len(head) - 8, len(packed))
        chunk.data = packed
        start, length = self._end, len(head) + len(packed)
        index = index_of(chunk, start, length)
        index_messages(index, entries, start + length, records)
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
