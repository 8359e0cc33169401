"""Copying of bags: all messages of a bag into another one, among others that are written there."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, ChunkIndex, Schema, Statistics
from mcap.stream_reader import get_chunk_data_stream
from rosbags.interfaces import ConnectionExtRosbag2, MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.metadata import dump_qos_v9
from ruamel.yaml import YAML

from sam2_ros.data.bag_types import typestore
from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.data.clips import ClipError
from sam2_ros.data.mcap_index import HEAD

_MESSAGE = struct.Struct("<HIQQ")
"""Channel, sequence, time of receipt and of publication, before a message's data."""
_INDEX_HEAD = HEAD.size + 2 + 4
"""Bytes of a message index beside its entries, of 16 bytes each."""
_ENCODINGS = {MessageDefinitionFormat.MSG: "ros2msg", MessageDefinitionFormat.IDL: "ros2idl"}


@dataclass
class BagCopy:
    """Copies the messages of a bag into another one, in the order of the files.

    Chunks of MCAP files are copied as they are, compressed, if nothing in them is left out; other messages one by one.
    Attachments are not copied.

    Args:
        path: the bag's folder or file.
        leave_out: names of topics that are not copied.
        verify: whether to unpack all chunks, and to leave damaged ones out, which nobody could read.
    """

    path: Path
    leave_out: Collection[str] = ()
    verify: bool = False
    left_out: set[str] = field(default_factory=set)
    """The topics that were left out, as far as it was written."""
    damaged: int = 0
    """Number of chunks that were unpacked, but are damaged, and left out."""

    def write(self, bag: BagWriter) -> Iterator[int]:
        """Write piece by piece into a bag that is empty; other topics may be added once the first piece is written.

        Yields:
            The time of the newest message of each piece, ns, once it is written: -1 for the topics.

        Raises:
            OSError: the other bag cannot be written, or this one cannot be read.
            ClipError: this bag is damaged.
        """
        files, plain = [self.path], True
        if self.path.is_dir():
            information = _information(self.path)
            files = [self.path / Path(name).name for name in information.get("relative_file_paths") or []]
            plain = not information.get("compression_mode")  # of whole files or single messages
            bag.custom_data = information.get("custom_data") or None
            for topic in information.get("topics_with_message_count") or []:
                metadata = topic["topic_metadata"]
                bag.type_hashes[metadata["name"]] = metadata.get("type_description_hash", "")
        try:
            sources = [_Source(file) for file in files] if plain else []
        except (McapError, ValueError, struct.error):  # no MCAP, or one without an index
            sources = []
        yield from self._chunks(bag, sources) if sources else self._messages(bag)

    def _chunks(self, bag: BagWriter, sources: list[_Source]) -> Iterator[int]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        numbers: dict[tuple[str, str], int] = {}  # of channels, by topic and type
        taken = max(source.highest for source in sources)  # chunks also declare what is left out
        for source in sources:
            source.number(schemas, channels, numbers, self.leave_out, taken)
            self.left_out |= {one.topic for one in source.channels.values()} & set(self.leave_out)
        bag.add_channels(schemas, channels, taken)
        yield -1
        for source in sources:
            with open(source.file, "rb") as file:
                for chunk in source.chunks:
                    copied: list[int] = [source.numbers.get(channel, 0) for channel in chunk.message_index_offsets]
                    if not any(copied):
                        continue
                    records = _read(file, chunk.chunk_start_offset, chunk.chunk_length + chunk.message_index_length)
                    if source.is_same and all(copied):
                        if self.verify and _unpacked(records) is None:
                            self.damaged += 1
                            continue
                        bag.copy_chunk(records, chunk, source.counts(chunk))
                    else:
                        self._rewrite(bag, records, source)
                    yield chunk.message_end_time

    def _rewrite(self, bag: BagWriter, records: bytes, source: _Source) -> None:
        """Write those messages of a chunk that are not left out."""
        unpacked = _unpacked(records)
        if unpacked is None:
            self.damaged += 1
            return
        place = 0
        while place < len(unpacked):
            opcode, length = HEAD.unpack_from(unpacked, place)
            place += HEAD.size
            if opcode == Opcode.MESSAGE:
                channel, sequence, received, sent = _MESSAGE.unpack_from(unpacked, place)
                if number := source.numbers.get(channel):
                    data = unpacked[place + _MESSAGE.size : place + length]
                    bag.write(number, received, data, sent, sequence)
            place += length

    def _messages(self, bag: BagWriter) -> Iterator[int]:
        """Copy message by message, whatever the storage."""
        with self._opened() as reader:
            connections = [one for one in reader.connections if one.topic not in self.leave_out]
            self.left_out |= {one.topic for one in reader.connections} - {one.topic for one in connections}
            numbers: dict[tuple[str, str], int] = {}
            for one in connections:
                key = one.topic, one.msgtype
                if key not in numbers:
                    text, encoding = _definition(one.msgtype, one.msgdef.data, one.msgdef.format)
                    assert isinstance(one.ext, ConnectionExtRosbag2)
                    qos: Any = dump_qos_v9(one.ext.offered_qos_profiles)
                    numbers[key] = bag.add_topic(one.topic, one.msgtype, text, one.digest, qos, encoding)
            yield -1
            messages = reader.messages(connections) if connections else iter(())
            while True:
                try:
                    connection, time, data = next(messages)
                except StopIteration:
                    return
                except Exception as error:  # rosbags doesn't wrap errors of its parsers, SQLite and decompressors
                    raise ClipError(self.path, f"cannot be read: {error or type(error).__name__}") from error
                bag.write(numbers[connection.topic, connection.msgtype], time, data)
                yield time

    @contextmanager
    def _opened(self) -> Iterator[Reader]:
        try:
            reader = Reader(self.path)
            reader.open()
        except Exception as error:  # see above
            raise ClipError(self.path, f"cannot be read: {error or type(error).__name__}") from error
        try:
            yield reader
        finally:
            reader.close()


class _Source:
    """The index of a complete MCAP file whose messages all lie in chunks with indices.

    Raises:
        ValueError, McapError, struct.error: the file is another one.
        OSError: the file cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        with open(file, "rb") as stream:
            summary = make_reader(stream).get_summary()
        statistics = summary.statistics if summary else None
        if summary is None or statistics is None:
            raise ValueError(f"{file} has no index")
        self.schemas, self.channels = summary.schemas, summary.channels
        self.chunks = sorted(summary.chunk_indexes, key=lambda chunk: chunk.chunk_start_offset)
        self.numbers: dict[int, int] = {}
        """Numbers of its channels in the other file; those that are left out are missing."""
        self.is_same = False
        """Whether its chunks name channels by the numbers of the other file."""
        self._check(statistics)

    @property
    def highest(self) -> int:
        """Highest number of its schemas and channels."""
        return max(*self.schemas, *self.channels, 0, 0)

    def counts(self, chunk: ChunkIndex) -> dict[int, int]:
        """Messages in a chunk by channel."""
        end = chunk.chunk_start_offset + chunk.chunk_length + chunk.message_index_length
        ordered = sorted((offset, channel) for channel, offset in chunk.message_index_offsets.items())
        ends = [offset for offset, _ in ordered[1:]] + [end]
        return {channel: (ends[i] - offset - _INDEX_HEAD) // 16 for i, (offset, channel) in enumerate(ordered)}

    def number(
        self,
        schemas: dict[int, Schema],
        channels: dict[int, Channel],
        numbers: dict[tuple[str, str], int],
        leave_out: Collection[str],
        taken: int,
    ) -> None:
        """Give the channels their numbers in the other file, and add to it those that it lacks.

        Args:
            schemas, channels: those of the other file, by number.
            numbers: its channels, by topic and type.
            leave_out: topics that it does not get.
            taken: highest number that new ones must not have.
        """
        self.is_same = True
        for channel in sorted(self.channels.values(), key=lambda one: one.id):
            if channel.topic in leave_out:
                continue
            schema = self.schemas.get(channel.schema_id) or Schema(channel.schema_id, b"", "", "")
            key = channel.topic, schema.name
            if key not in numbers:
                free = channel.id not in channels and schemas.get(schema.id, schema) == schema
                if free:
                    number, described_by = channel.id, schema
                else:
                    number, described_by = max(taken, *channels) + 1, _placed(schema, schemas, taken)
                if schema.id:
                    schemas[described_by.id] = described_by
                channels[number] = Channel(
                    number, channel.topic, channel.message_encoding, channel.metadata, described_by.id
                )
                numbers[key] = number
            self.numbers[channel.id] = numbers[key]
            there = channels[numbers[key]]
            self.is_same &= there == channel and (not schema.id or schemas[there.schema_id] == schema)

    def _check(self, statistics: Statistics) -> None:
        total = 0
        for chunk in self.chunks:
            end = chunk.chunk_start_offset + chunk.chunk_length
            offsets = chunk.message_index_offsets.values()
            if any(not end <= offset < end + chunk.message_index_length for offset in offsets):
                raise ValueError(f"{self.file} has indices of messages elsewhere than behind their chunks")
            total += sum(self.counts(chunk).values())
        if total != statistics.message_count:
            raise ValueError(f"{self.file} has messages outside of chunks, or without an index")


def _placed(schema: Schema, schemas: dict[int, Schema], taken: int) -> Schema:
    """The equal schema of another file, or the schema with a number that is free there."""
    same = (one for one in schemas.values() if (one.name, one.data) == (schema.name, schema.data))
    return next(same, None) or Schema(max(taken, *schemas) + 1, schema.data, schema.encoding, schema.name)


def _unpacked(records: bytes) -> memoryview | None:
    """The content of a chunk, which may be followed by other records; None: it is damaged."""
    try:
        chunk = Chunk.read(ReadDataStream(BytesIO(records[HEAD.size :])))
        stream, size = get_chunk_data_stream(chunk, validate_crc=True)
        return memoryview(stream.read(size))
    except Exception:  # of decompressors, checksums and records
        return None


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    data = file.read(length)
    if len(data) < length:
        raise ClipError(file.name, "is shorter than its index says")
    return data


def _definition(kind: str, text: str, form: MessageDefinitionFormat) -> tuple[str, str]:
    """The definition of a type and its encoding: that of the bag, or, in one without, that of ROS 2."""
    if form in _ENCODINGS:
        return text, _ENCODINGS[form]
    try:
        return typestore().generate_msgdef(kind, ros_version=2)[0], "ros2msg"
    except Exception:  # an unknown type: whoever reads the bag must know it, as before
        return "", ""


def _information(folder: Path) -> dict[str, Any]:
    """The content of metadata.yaml. Raises ClipError."""
    file = folder / "metadata.yaml"
    try:
        content: Any = YAML(typ="safe", pure=True).load(file.read_text("utf-8"))
        return dict(content["rosbag2_bagfile_information"])
    except Exception as error:  # of YAML, and of any content
        raise ClipError(file, f"cannot be read: {error or type(error).__name__}") from error
