"""Bags of all kinds that are copied into another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as OtherWriter
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from sam2_ros.data.bag_copy import BagCopy
from sam2_ros.data.bag_metadata import Contents, write_metadata
from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.data.clips import ClipError

STRING = "string data\n"
KIND = "std_msgs/msg/String"

Received = tuple[str, int, bytes]
"""Topic, time and data of a message."""


def text(content: str) -> bytes:
    """A std_msgs/String, serialised."""
    data = content.encode() + b"\0"
    return b"\0\1\0\0" + len(data).to_bytes(4, "little") + data


def some(topics: Iterable[str], count: int, start: int = 0, size: int = 2000) -> list[Received]:
    """Messages on all topics in turn, one each 100 ms."""
    found = []
    for index in range(start, start + count):
        for place, topic in enumerate(topics):
            found.append((topic, 10**9 + index * 10**8 + place, text(f"{topic} {index} {os.urandom(size // 2).hex()}")))
    return found


def write_mcap(
    file: Path,
    messages: Iterable[Received],
    topics: Iterable[str] = (),
    kind: str = KIND,
    **options: object,
) -> None:
    """An MCAP file by another writer. Topics get their numbers in the order given, or in that of messages."""
    with open(file, "xb") as stream:
        writer = OtherWriter(stream, **{"chunk_size": 20_000, "compression": CompressionType.ZSTD, **options})
        writer.start("ros2", "test")
        schema = writer.register_schema(kind, "ros2msg", STRING.encode())
        channels = {topic: writer.register_channel(topic, "cdr", schema) for topic in topics}
        for topic, time, data in messages:
            if topic not in channels:
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channels[topic], time, data, time - 5, 7)
        writer.finish()


def as_bag(folder: Path) -> Path:
    """Add metadata.yaml to a folder of MCAP files."""
    contents = []
    for file in sorted(folder.glob("*.mcap")):
        with open(file, "rb") as stream:
            summary = make_reader(stream).get_summary()
        assert summary is not None and summary.statistics is not None
        counts = summary.statistics.channel_message_counts
        start, end = summary.statistics.message_start_time, summary.statistics.message_end_time
        contents.append(Contents(file.name, summary.schemas, summary.channels, counts, start, end))
    write_metadata(folder, contents)
    return folder


def copied(
    source: Path, folder: Path, ours: Iterable[Received] = (), leave_out: Iterable[str] = (), verify: bool = False
) -> BagCopy:
    """Copy a bag into another one, with messages of our own on /ours in between."""
    copy, bag, rest = BagCopy(source, set(leave_out), verify), BagWriter(folder), list(ours)
    pieces = copy.write(bag)
    assert next(pieces) == -1
    number = bag.add_topic("/ours", KIND, STRING, "", [])
    for newest in pieces:
        while rest and rest[0][1] <= newest:
            bag.write(number, *rest.pop(0)[1:])
    for one in rest:
        bag.write(number, *one[1:])
    bag.close()
    return copy


def read(path: Path) -> list[Received]:
    """The messages as rosbags and mcap read them, in the order of time."""
    with AnyReader([path]) as reader:
        found = [(connection.topic, time, bytes(data)) for connection, time, data in reader.messages()]
    with open(next(path.glob("*.mcap")), "rb") as stream:
        others = list(make_reader(stream, validate_crcs=True).iter_messages())
        assert sorted((channel.topic, one.log_time, one.data) for _, channel, one in others) == sorted(found)
        stream.seek(0)
        scanned = make_reader(_Unseekable(stream)).iter_messages(log_time_order=False)
        assert len(list(scanned)) == len(found), "also without the index"
    return sorted(found, key=lambda one: one[1])


class _Unseekable:
    """A file as a pipe gives it."""

    def __init__(self, stream: object) -> None:
        self.read = stream.read  # type: ignore[attr-defined]

    def seekable(self) -> bool:
        return False


def chunks(file: Path) -> list[tuple[str, bytes]]:
    """Compression and compressed bytes of the chunks."""
    content = file.read_bytes()
    with open(file, "rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    return [
        (one.compression, content[one.chunk_start_offset : one.chunk_start_offset + one.chunk_length])
        for one in sorted(summary.chunk_indexes, key=lambda chunk: chunk.chunk_start_offset)
    ]


@pytest.mark.parametrize("compression", [CompressionType.NONE, CompressionType.LZ4, CompressionType.ZSTD])
def test_chunks_are_copied_as_they_are(tmp_path: Path, compression: CompressionType) -> None:
    messages, ours = some(["/a", "/b"], 60), some(["/ours"], 60, size=10)
    write_mcap(tmp_path / "source.mcap", messages, compression=compression)
    copied(tmp_path / "source.mcap", tmp_path / "bag", ours)
    assert read(tmp_path / "bag") == sorted(messages + ours, key=lambda one: one[1])
    before, after = chunks(tmp_path / "source.mcap"), chunks(tmp_path / "bag/bag.mcap")
    assert len(before) > 5 and [chunk for chunk in after if chunk in before] == before
    between = [place for place, chunk in enumerate(after) if chunk not in before]
    assert 4 <= len(between) <= 7 and max(between) > len(before) // 2, "about one a second, among the others"


def test_numbers_of_publishers_and_times_of_publication_stay(tmp_path: Path) -> None:
    messages = some(["/a", "/b"], 30)
    write_mcap(tmp_path / "source.mcap", messages)
    for leave_out in ([], ["/b"]):  # copied, and written again
        folder = tmp_path / f"bag{len(leave_out)}"
        copied(tmp_path / "source.mcap", folder, leave_out=leave_out)
        with open(folder / f"{folder.name}.mcap", "rb") as stream:
            for _, _, one in make_reader(stream).iter_messages():
                assert (one.publish_time, one.sequence) == (one.log_time - 5, 7)


def test_topics_are_left_out(tmp_path: Path) -> None:
    messages = some(["/a", "/b"], 20) + some(["/a"], 40, start=20) + some(["/b"], 40, start=60)
    write_mcap(tmp_path / "source.mcap", messages)
    copy = copied(tmp_path / "source.mcap", tmp_path / "bag", leave_out=["/b", "/c"])
    assert copy.left_out == {"/b"}
    assert read(tmp_path / "bag") == [one for one in messages if one[0] == "/a"]
    before, after = chunks(tmp_path / "source.mcap"), chunks(tmp_path / "bag/bag.mcap")
    assert set(before) & set(after), "chunks of /a alone are copied as they are"


def test_topic_that_is_left_out_can_be_written_anew(tmp_path: Path) -> None:
    messages, ours = some(["/a", "/ours"], 30), some(["/ours"], 30, size=10)
    write_mcap(tmp_path / "source.mcap", messages)
    copied(tmp_path / "source.mcap", tmp_path / "bag", ours, leave_out=["/ours"])
    expected = [one for one in messages if one[0] == "/a"] + ours
    assert read(tmp_path / "bag") == sorted(expected, key=lambda one: one[1])


def test_topics_of_split_bags_keep_their_types_whatever_their_numbers(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    messages = some(["/a", "/b", "/c"], 60)
    write_mcap(source / "source_0.mcap", messages[:90], topics=["/a", "/b", "/c"])
    write_mcap(source / "source_1.mcap", messages[90:], topics=["/c", "/new", "/a", "/b"])
    copied(as_bag(source), tmp_path / "bag")
    assert read(tmp_path / "bag") == messages
    copied(source, tmp_path / "without", leave_out=["/b"])
    assert read(tmp_path / "without") == [one for one in messages if one[0] != "/b"]


def without_index(file: Path, messages: list[Received]) -> None:
    write_mcap(file, messages, use_chunking=False)


def without_message_index(file: Path, messages: list[Received]) -> None:
    write_mcap(file, messages, index_types=IndexType.ALL & ~IndexType.MESSAGE)


def without_statistics(file: Path, messages: list[Received]) -> None:
    write_mcap(file, messages, use_statistics=False)


def without_summary(file: Path, messages: list[Received]) -> None:
    write_mcap(
        file,
        messages,
        index_types=IndexType.NONE,
        repeat_channels=False,
        repeat_schemas=False,
        use_statistics=False,
        use_summary_offsets=False,
    )


@pytest.mark.parametrize("write", [without_index, without_message_index, without_statistics, without_summary])
def test_unusual_files_are_copied_message_by_message(
    tmp_path: Path, write: Callable[[Path, list[Received]], None]
) -> None:
    messages, ours = some(["/a", "/b"], 30), some(["/ours"], 30, size=10)
    write(tmp_path / "source.mcap", messages)
    with AnyReader([tmp_path / "source.mcap"]) as reader:
        readable = [(connection.topic, time, bytes(data)) for connection, time, data in reader.messages()]
    copied(tmp_path / "source.mcap", tmp_path / "bag", ours)
    assert read(tmp_path / "bag") == sorted(readable + ours, key=lambda one: one[1])


@pytest.mark.parametrize("mode", [CompressionMode.MESSAGE, CompressionMode.FILE, CompressionMode.NONE])
@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_bags_of_all_storages_and_compressions(tmp_path: Path, storage: StoragePlugin, mode: CompressionMode) -> None:
    messages, ours = some(["/a", "/b"], 20), some(["/ours"], 20, size=10)
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = Writer(tmp_path / "source", version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    writer.set_custom_data("robot", "seven")
    with writer:
        topics = {topic: writer.add_connection(topic, KIND, typestore=store) for topic in ("/a", "/b", "/empty")}
        for topic, time, data in messages:
            writer.write(topics[topic], time, data)
    copied(tmp_path / "source", tmp_path / "bag", ours)
    assert read(tmp_path / "bag") == sorted(messages + ours, key=lambda one: one[1])
    with AnyReader([tmp_path / "bag"]) as reader:
        assert {one.topic for one in reader.connections} == {"/a", "/b", "/empty", "/ours"}
        assert {one.digest for one in reader.connections if one.topic != "/ours"} == {store.hash_rihs01(KIND)}
    metadata = (tmp_path / "bag/metadata.yaml").read_text()
    assert "robot: seven" in metadata and "compression_mode: ''" in metadata


@pytest.mark.parametrize("leave_out", [[], ["/b"]])
def test_damaged_chunks_are_left_out_and_counted(tmp_path: Path, leave_out: list[str]) -> None:
    """If they are unpacked anyway, or all are verified; others are copied as they are."""
    messages = some(["/a", "/b"], 60)
    write_mcap(tmp_path / "source.mcap", messages)
    content = bytearray((tmp_path / "source.mcap").read_bytes())
    damaged = chunks(tmp_path / "source.mcap")[2][1]
    content[(place := content.index(damaged) + 500) : place + 100] = bytes(100)
    (tmp_path / "source.mcap").write_bytes(content)
    copy = copied(tmp_path / "source.mcap", tmp_path / "bag", leave_out=leave_out, verify=not leave_out)
    kept = read(tmp_path / "bag")
    topics = {"/a", "/b"} - set(leave_out)
    assert copy.damaged == 1 and 40 * len(topics) < len(kept) < 60 * len(topics)
    assert {topic for topic, _, _ in kept} == topics
    copied(tmp_path / "source.mcap", tmp_path / "plain")
    assert len(chunks(tmp_path / "plain/plain.mcap")) == len(chunks(tmp_path / "source.mcap"))


def test_bag_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "source.mcap").write_bytes(b"no bag")
    bag = BagWriter(tmp_path / "bag")
    with pytest.raises(ClipError, match=r"source\.mcap: cannot be read"):
        next(BagCopy(tmp_path / "source.mcap").write(bag))
    bag.abandon()


def test_empty_bag(tmp_path: Path) -> None:
    write_mcap(tmp_path / "source.mcap", [], topics=["/a"])
    copied(tmp_path / "source.mcap", tmp_path / "bag")
    assert read(tmp_path / "bag") == []
