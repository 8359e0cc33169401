"""Index of an MCAP file: its summary section."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    MessageIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.writer import MCAP0_MAGIC

HEAD = struct.Struct("<BQ")
"""Opcode and length before the content of each record."""

Entries = dict[int, list[tuple[int, int]]]
"""Times and offsets of the messages in a chunk, by channel."""


@dataclass
class Index:
    """Schemas, channels and chunks of an MCAP file."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[tuple[ChunkIndex, dict[int, int]]] = field(default_factory=list)
    """Chunks, each with its number of messages by channel."""

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
        """Times of the first and of the last message, ns; (0, 0) without messages."""
        if not self.chunks:
            return 0, 0
        return (
            min(chunk.message_start_time for chunk, _ in self.chunks),
            max(chunk.message_end_time for chunk, _ in self.chunks),
        )

    def section(self, start: int) -> bytes:
        """The end of a file whose data ends at byte `start`: end of data, summary, footer."""
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
        groups: dict[Opcode, list[Any]] = {
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
        covered = summary + HEAD.pack(Opcode.FOOTER, 8 + 8 + 4) + struct.pack("<QQ", start, offsets_start)
        Footer(start, offsets_start, zlib.crc32(covered)).write(records)
        return end_of_data + summary + records.end() + MCAP0_MAGIC


def index_messages(chunk: ChunkIndex, entries: Entries, start: int, records: RecordBuilder) -> None:
    """Write the message indices of a chunk that ends at byte `start`."""
    begin = records.count
    for channel, group in entries.items():
        chunk.message_index_offsets[channel] = start + records.count - begin
        MessageIndex(channel, group).write(records)
    chunk.message_index_length = records.count - begin


def index_of(chunk: Chunk, start: int, length: int) -> ChunkIndex:
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
