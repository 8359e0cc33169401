"""Scan of incomplete MCAP files."""

from __future__ import annotations

import contextlib
import os
import struct
from collections import defaultdict
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, MessageIndex, Schema
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC

from sam2_ros.data.mcap_index import HEAD, Entries, Index, index_of

MAX_RECORD = 0x7FFFF000
"""Maximum length of a record: Linux reads at most this many bytes at once. Longer lengths are damage."""

BLOCK_SIZE = 1 << 20
"""Bytes per read in the search for non-zero data."""


class Scan:
    """Reads a file from its beginning, up to the last complete record."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.index = Index()
        self.end = 0
        """Position after the last complete record of data."""
        self.damaged = 0
        """Number of damaged chunks."""
        self.unknown_rest = False
        """Whether data follows other than a partial record, an index, or zeros."""
        self.without_index: tuple[ChunkIndex, Entries] | None = None
        """The last chunk, if the index of its messages is missing."""
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._last: tuple[ChunkIndex, Entries] | None = None  # whose index follows
        self._loose = False  # whether there are messages outside of chunks
        file.seek(0)
        if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
            raise ValueError(f"{path} is not an MCAP file, or is empty")
        self.end = len(MCAP0_MAGIC)
        while self._record():
            pass
        self._close_chunk(is_last=True)
        if self._loose and not self.index.chunks:
            raise ValueError(f"{path} was written without chunks; `mcap recover` (mcap.dev) can read it")

    def _record(self) -> bool:
        """Read the next record. Returns whether there was one."""
        self._file.seek(self.end)
        head = self._file.read(HEAD.size)
        if len(head) < HEAD.size:
            return False
        opcode, length = HEAD.unpack(head)
        if opcode in (Opcode.DATA_END, Opcode.FOOTER):
            return False
        known = Opcode.HEADER <= opcode <= Opcode.DATA_END or opcode >= 0x80
        if not known or length > MAX_RECORD:
            self.unknown_rest = any(head) or self._has_data()
            return False
        after = self.end + HEAD.size + length
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
                entries = self._entries_of(chunk)
            except Exception:  # errors of decompressors, checksums and records
                self.damaged += 1
            else:
                self._last = index_of(chunk, self.end, length), entries

    def _entries_of(self, chunk: Chunk) -> Entries:
        """Times and offsets of the messages of a chunk, by channel."""
        stream, size = get_chunk_data_stream(chunk, validate_crc=True)
        entries: Entries = defaultdict(list)
        while (offset := stream.count) < size:
            opcode, length = HEAD.unpack(stream.read(HEAD.size))
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

    def _has_data(self) -> bool:
        """Whether anything but zeros follows; a power failure leaves zeros."""
        self._file.seek(self.end)
        with contextlib.suppress(OSError):
            while data := self._file.read(BLOCK_SIZE):
                if any(data):
                    return True
        return False
