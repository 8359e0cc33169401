"""Crash-safe writing of MCAP files: a full disk or a killed process loses at most the last chunk."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, Header, Message, Schema
from mcap.writer import MCAP0_MAGIC

from sam2_ros.data.mcap_index import HEAD, Entries, Index, index_messages, index_of
from sam2_ros.data.mcap_scan import Scan

CHUNK_SIZE = 1 << 20
"""Bytes from which on a chunk is written."""

COMPRESSION_LEVEL = -1
"""Level of zstd. Masklets compress to a quarter, rendered and smooth images to a third. Camera images have noise in
their last bits: level 1 would save 7 % at a fifth of a core for 1280x720; this level skips them, at 10 GB/s."""

COPY_SPAN = 1_000_000_000
"""Time between the first buffered message and the end of a copied chunk from which on the former are written first, ns.
Whoever reads a second then reads few chunks, and chunks are not too small to be compressed."""

METADATA_ROOM = 16 << 10
"""Bytes reserved for metadata.yaml."""

RESERVED_AHEAD = 16 << 20
"""Bytes allocated ahead: zeros until they are written or the file is complete."""

MAX_SACRIFICED = 4 << 20
"""Maximum bytes of chunks that an index may replace, beyond its own size."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class McapFile:
    """An MCAP file that is being written. Messages are buffered until their chunk is full, or until `flush`.

    Only bytes after the last complete chunk are overwritten, so an incomplete file can be recovered up to there.
    Channels and schemas are stored outside of chunks.

    Args:
        path: path of the file, which must not exist.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._open(path, "x+b")
        records = RecordBuilder()
        Header("ros2", "sam2_ros").write(records)
        self._append_data(MCAP0_MAGIC, records.end(), in_index=512)

    @classmethod
    def recover(cls, path: Path) -> tuple[McapFile, int]:
        """Open an incomplete file, to complete it. Returns it and the number of its damaged chunks.

        Damaged chunks stay in the file, but not in the index. A partial record after the last complete one is removed;
        other data is saved to `<path>.rest`.

        Raises:
            ValueError: this is no MCAP file, it has no chunks, or it is being written.
            OSError: the file cannot be read or written.
        """
        file = cls.__new__(cls)
        file._open(path, "r+b")
        try:
            scan = Scan(cast(BinaryIO, file._file), path)
            file.index, file._end = scan.index, scan.end
            if scan.unknown_rest:
                rest = path.with_name(f"{path.name}.rest")
                with open(rest, "xb") as rest_file:
                    file._file.seek(scan.end)
                    while data := file._file.read(CHUNK_SIZE):
                        rest_file.write(data)
            if scan.without_index:  # the writer was interrupted after the chunk
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
        """Index of written chunks."""
        self._end = 0  # of complete records
        self._reserved = 0  # allocated bytes
        self._index_size = 0  # bytes, upper limit
        self._records = RecordBuilder()  # of the current chunk
        self._entries: Entries = defaultdict(list)  # times and offsets in the chunk, by channel
        self._buffered_since = 0  # time of the first message in it, ns
        self._taken = 0  # highest number that copied chunks may give to a schema or channel
        self._compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
        self._file = open(path, mode, buffering=0)  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ValueError(f"{path} is still being recorded") from None
        except OSError:
            pass  # network file systems may lack locks

    @property
    def size(self) -> int:
        """Written bytes."""
        return self._end

    def add_channel(
        self, topic: str, kind: str, definition: str, metadata: dict[str, str], encoding: str = "ros2msg"
    ) -> int:
        """Add a topic of a type with a definition. Returns its number.

        Args:
            encoding: of the definition, ros2msg or ros2idl; empty: there is none.

        Raises:
            OSError: the disk is full.
        """
        text = definition.encode()
        known = (one for one in self.index.schemas.values() if (one.name, one.data) == (kind, text))
        schema = next(known, None) or Schema(self._next(self.index.schemas), text, encoding, kind)
        channel = Channel(self._next(self.index.channels), topic, "cdr", metadata, schema.id)
        self._declare([schema], [channel])
        return channel.id

    def add_channels(self, schemas: Mapping[int, Schema], channels: Mapping[int, Channel], taken: int) -> None:
        """Add the channels of another file, with their numbers, to a file that has none.

        Args:
            schemas, channels: those of the other file, by number.
            taken: highest number of a schema or channel that chunks of the other file may name; new ones are above it.

        Raises:
            OSError: the disk is full.
        """
        self._taken = taken
        self._declare([schema for _, schema in sorted(schemas.items())], [one for _, one in sorted(channels.items())])

    def _declare(self, schemas: list[Schema], channels: list[Channel]) -> None:
        records = RecordBuilder()
        for schema in schemas:
            if schema.id not in self.index.schemas:
                schema.write(records)
        for channel in channels:
            channel.write(records)
        in_index = records.count + 10 * len(channels)  # the summary repeats it
        self._append_data(records.end(), in_index=in_index)
        self.index.schemas.update((schema.id, schema) for schema in schemas)
        self.index.channels.update((channel.id, channel) for channel in channels)

    def _next(self, known: Mapping[int, Schema] | Mapping[int, Channel]) -> int:
        return max(self._taken, *known, 0) + 1

    def write(
        self, channel: int, time: int, data: bytes | memoryview, sent: int | None = None, sequence: int = 0
    ) -> None:
        """Add a message. Raises OSError, see `flush`.

        Args:
            time: of receipt, ns.
            sent: time of publication, ns; None: that of receipt.
            sequence: its number among the publisher's messages; 0: unknown.
        """
        if not self._entries:
            self._buffered_since = time
        self._entries[channel].append((time, self._records.count))
        Message(channel, time, cast(bytes, data), time if sent is None else sent, sequence).write(self._records)
        if self._records.count > CHUNK_SIZE:
            self.flush()

    def copy_chunk(self, records: bytes, index: ChunkIndex, counts: Mapping[int, int]) -> None:
        """Add a chunk of another file as it is, compressed, with channels of the same numbers (`add_channels`).

        Messages that have been buffered for `COPY_SPAN` are written first.

        Args:
            records: the chunk and the indices of its messages, which follow it in its file.
            index: its entry in the index of that file.
            counts: its number of messages by channel.

        Raises:
            OSError: the disk is full.
        """
        if self._entries and index.message_end_time - self._buffered_since > COPY_SPAN:
            self.flush()
        shift = self._end - index.chunk_start_offset
        offsets = {channel: offset + shift for channel, offset in index.message_index_offsets.items()}
        self._append_data(records, in_index=128 + 10 * len(counts))
        copied = replace(index, chunk_start_offset=index.chunk_start_offset + shift, message_index_offsets=offsets)
        self.index.chunks.append((copied, dict(counts)))

    def flush(self) -> None:
        """Write the chunk, which then survives the end of this process.

        Raises:
            OSError: the disk is full. The chunk is lost; the file can still be completed.
        """
        entries, self._entries = self._entries, defaultdict(list)
        if not entries:
            return
        data = self._records.end()
        packed, compression = self._compressor.compress(data), "zstd"
        if len(packed) > 0.97 * len(data):  # such as JPEG: store it, which saves decompression
            packed, compression = data, ""
        times = [time for group in entries.values() for time, _ in group]
        chunk = Chunk(compression, b"", max(times), min(times), zlib.crc32(data), len(data))
        records = RecordBuilder()
        chunk.write(records)
        head = bytearray(records.end())  # without the data, to avoid another copy of a large image
        HEAD.pack_into(head, 0, Opcode.CHUNK, len(head) - HEAD.size + len(packed))
        struct.pack_into("<Q", head, len(head) - 8, len(packed))
        chunk.data = packed
        start, length = self._end, len(head) + len(packed)
        index = index_of(chunk, start, length)
        index_messages(index, entries, start + length, records)
        self._append_data(head, packed, records.end(), in_index=128 + 10 * len(entries))
        self.index.chunks.append((index, {channel: len(group) for channel, group in entries.items()}))

    def sync(self) -> None:
        """Sync written data to the disk, so that it survives a power failure. Raises OSError."""
        os.fdatasync(self._file.fileno())

    @property
    def free(self) -> int:
        """Free bytes on its disk."""
        disk = os.fstatvfs(self._file.fileno())
        return disk.f_bavail * disk.f_frsize

    @property
    def is_removed(self) -> bool:
        """Whether the file was deleted."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def complete(self) -> int:
        """Write the index; if the disk is full, over the last chunks. Returns the number of chunks that it replaced.

        Buffered messages are lost: call `flush` before.

        Raises:
            OSError: the disk is full even so, or broken. The file can be recovered later.
        """
        whole, replaced = self._end, 0
        while True:
            end = self._end
            section = self.index.section(end)
            try:
                self._append(section)
            except OSError as error:
                # Space for the index was allocated if the file system can do that; if not, chunks make room.
                if error.errno not in NO_ROOM or not self.index.chunks or whole - end > len(section) + MAX_SACRIFICED:
                    raise
                chunk, _ = self.index.chunks.pop()
                self._end = chunk.chunk_start_offset
                replaced += 1
            else:
                # Only now: the index was written into allocated space, even if other processes fill the disk.
                self._file.truncate(self._end)
                self._end, self._reserved = end, 0
                return replaced

    def close(self) -> None:
        self._file.close()

    def _append(self, *parts: bytes | bytearray) -> None:
        """Append parts as a whole, or raise OSError and leave the end unchanged."""
        position = self._end
        for part in parts:
            view = memoryview(part)
            while view:
                written = os.pwrite(self._file.fileno(), view, position)
                view, position = view[written:], position + written
        self._end = position

    def _append_data(self, *parts: bytes | bytearray, in_index: int) -> None:
        """Append parts as a whole, if the index (with `in_index` more bytes) and metadata.yaml still fit.

        Raises OSError, and leaves the end unchanged.
        """
        needed = self._end + sum(map(len, parts)) + self._index_size + in_index + METADATA_ROOM
        if needed > self._reserved:
            for ahead in (RESERVED_AHEAD, 0):
                try:
                    os.posix_fallocate(self._file.fileno(), 0, needed + ahead)
                except OSError as error:
                    if error.errno not in NO_ROOM:
                        break  # not supported by this file system
                    if not ahead:
                        raise
                else:
                    self._reserved = needed + ahead
                    break
        self._append(*parts)
        self._index_size += in_index
