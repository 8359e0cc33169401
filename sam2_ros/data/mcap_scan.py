"""Reads MCAP files that nobody has completed."""

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

LARGEST_RECORD = 0x7FFFF000
"""Bytes that Linux reads at once. A length above this is no length, but damage."""

AT_ONCE = 1 << 20
"""Bytes that are looked at in search of something else than zeros."""


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
        self.without_index: tuple[ChunkIndex, Entries] | None = None
        """The last chunk, if the index of its messages is not behind it."""
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._last: tuple[ChunkIndex, Entries] | None = None  # whose index is looked for
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
        head = self._file.read(HEAD.size)
        if len(head) < HEAD.size:
            return False
        opcode, length = HEAD.unpack(head)
        if opcode in (Opcode.DATA_END, Opcode.FOOTER):
            return False
        known = Opcode.HEADER <= opcode <= Opcode.DATA_END or opcode >= 0x80
        if not known or length > LARGEST_RECORD:
            self.strange = any(head) or self._is_more_than_zeros()
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
                entries = self._look_into(chunk)
            except Exception:  # what decompressors, checksums and records raise
                self.damaged += 1
            else:
                self._last = index_of(chunk, self.end, length), entries

    def _look_into(self, chunk: Chunk) -> Entries:
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

    def _is_more_than_zeros(self) -> bool:
        """Whether there is anything but zeros, which a power failure leaves."""
        self._file.seek(self.end)
        with contextlib.suppress(OSError):
            while data := self._file.read(AT_ONCE):
                if any(data):
                    return True
        return False
