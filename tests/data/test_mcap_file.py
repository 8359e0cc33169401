"""MCAP files and bags that are truncated by a killed process or a full disk."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType
from mcap.writer import Writer as OtherWriter
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.data.mcap_file import McapFile
from sam2_ros.data.recovery import main, recover

HASH = "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
STRING = "string data\n"
COLOUR = "float32 r\nfloat32 g\nfloat32 b\nfloat32 a\n"
QOS = {
    "history": "keep_last",
    "depth": 10,
    "reliability": "reliable",
    "durability": "volatile",
    "deadline": {"sec": 9223372036, "nsec": 854775807},
    "lifespan": {"sec": 9223372036, "nsec": 854775807},
    "liveliness": "automatic",
    "liveliness_lease_duration": {"sec": 9223372036, "nsec": 854775807},
    "avoid_ros_namespace_conventions": False,
}


def message(index: int, size: int = 40) -> bytes:
    """A std_msgs/String, serialised."""
    text = f"{index:08d}".encode() + os.urandom(size // 2).hex().encode() + b"\0"
    return b"\0\1\0\0" + len(text).to_bytes(4, "little") + text


def fill(bag: BagWriter, first: int, last: int, size: int = 40) -> None:
    for index in range(first, last):
        bag.write(1, 1_000 + index, message(index, size))


def begin(folder: Path) -> BagWriter:
    bag = BagWriter(folder)
    bag.add_topic("/text", "std_msgs/msg/String", STRING, HASH, [QOS])
    return bag


def abandon(bag: BagWriter) -> Path:
    """End like a process after kill -9: nothing more is written. Returns the file."""
    bag._ending.set()
    bag._sync_thread.join()
    bag._file.close()
    return bag._file.path


def cut(bag: BagWriter) -> Path:
    """The same on a file system without preallocation."""
    size, file = bag.size, abandon(bag)
    os.truncate(file, size)
    return file


def read(path: Path) -> list[int]:
    """The messages of a bag, as rosbags and as mcap read it."""
    with AnyReader([path]) as reader:
        messages = [
            int(reader.deserialize(data, connection.msgtype).data[:8]) for connection, _, data in reader.messages()
        ]
    file = next(path.glob("*.mcap")) if path.is_dir() else path
    with open(file, "rb") as stream:
        other = [int(record.data[8:16]) for _, _, record in make_reader(stream, validate_crcs=True).iter_messages()]
        stream.seek(0)
        assert make_reader(stream).get_summary().statistics.message_count == len(other)
    assert messages == other
    return messages


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Limit the size of files to a number of bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_bag_has_a_complete_summary(tmp_path: Path) -> None:
    bag = begin(tmp_path / "deep" / "bag")
    second = bag.add_topic("/colour", "std_msgs/msg/ColorRGBA", COLOUR, "", [])
    fill(bag, 0, 3)
    bag.write(second, 5_000, b"\0\1\0\0" + bytes(16))
    bag.close()
    assert bag.is_complete and bag.counts == {"/text": 3, "/colour": 1}

    with Reader(tmp_path / "deep" / "bag") as reader:
        assert (reader.message_count, reader.start_time, reader.end_time) == (4, 1_000, 5_001)
        text, colour = sorted(reader.connections, key=lambda connection: connection.topic, reverse=True)
        assert (text.topic, text.msgtype, text.msgcount) == ("/text", "std_msgs/msg/String", 3)
        assert text.ext.offered_qos_profiles[0].depth == 10
        assert (colour.msgtype, colour.msgcount) == ("std_msgs/msg/ColorRGBA", 1)
    assert HASH in (tmp_path / "deep/bag/metadata.yaml").read_text()


def test_empty_bag_is_valid(tmp_path: Path) -> None:
    bag = BagWriter(tmp_path / "bag")
    bag.close()
    assert read(tmp_path / "bag") == []
    assert not list((tmp_path / "bag").glob("*.new"))


def test_compressible_chunks_are_compressed(tmp_path: Path) -> None:
    bag = begin(tmp_path / "bag")
    bag.write(1, 1, b"\0\1\0\0" + (3_000_000).to_bytes(4, "little") + bytes(2_999_992))
    packed = bag.size
    bag.write(1, 2, b"\0\1\0\0" + (3_000_000).to_bytes(4, "little") + os.urandom(3_000_000))
    bag.close()
    assert packed < 10_000
    with open(bag._file.path, "rb") as stream:
        assert [chunk.compression for chunk in make_reader(stream).get_summary().chunk_indexes] == ["zstd", ""]


def test_flushed_messages_survive_kill_9(tmp_path: Path) -> None:
    bag = begin(tmp_path / "bag")
    fill(bag, 0, 10)
    bag.flush()
    fill(bag, 10, 20)
    abandon(bag)

    assert "10 messages on 1 topics" in str(recover(tmp_path / "bag"))
    assert read(tmp_path / "bag") == list(range(10))
    content = {file.name: file.read_bytes() for file in (tmp_path / "bag").iterdir()}
    assert recover(tmp_path / "bag").was_complete
    assert content == {file.name: file.read_bytes() for file in (tmp_path / "bag").iterdir()}, "nothing to do"


def test_recovery_keeps_all_whole_chunks_of_a_truncated_file(tmp_path: Path) -> None:
    bag = begin(tmp_path / "bag")
    for index in range(3):
        fill(bag, 5 * index, 5 * index + 5)
        bag.flush()
    whole = [chunk.chunk_start_offset + chunk.chunk_length for chunk, _ in bag._file.index.chunks]
    start = bag._file.index.chunks[0][0].chunk_start_offset
    bag.close()
    data = next((tmp_path / "bag").glob("*.mcap")).read_bytes()

    part = tmp_path / "part.mcap"
    ends = {0, 8, len(data), start, *whole}
    for size in sorted({end + step for end in ends for step in (-1, 0, 1)} | set(range(0, len(data), 41))):
        if not 0 <= size <= len(data):
            continue
        part.write_bytes(data[:size])
        if size < 8:
            with pytest.raises(ValueError, match="not an MCAP file"):
                recover(part)
            continue
        recover(part)
        if size >= start:  # else the topic is missing, too
            assert read(part) == list(range(5 * sum(size >= end for end in whole)))
    assert recover(part).was_complete


@pytest.mark.parametrize("rest", [bytes(100_000), b"\x06\xff", b"\x06" + (10**6).to_bytes(8, "little") + b"abc"])
def test_partial_records_are_removed(tmp_path: Path, rest: bytes) -> None:
    bag = begin(tmp_path / "bag")
    fill(bag, 0, 5)
    bag.flush()
    file = cut(bag)
    with open(file, "ab") as stream:
        stream.write(rest)
    recover(file)
    assert read(file) == list(range(5))
    assert [one.name for one in file.parent.iterdir()] == ["bag.mcap"]


def test_unknown_data_is_saved(tmp_path: Path) -> None:
    bag = begin(tmp_path / "bag")
    for index in range(3):
        fill(bag, 5 * index, 5 * index + 5)
        bag.flush()
    damaged = bag._file.index.chunks[1][0]
    file = cut(bag)
    noise = b"\x55" + os.urandom(3_000_000)
    with open(file, "r+b") as stream:
        stream.seek(damaged.chunk_start_offset + damaged.chunk_length // 2)
        stream.write(b"damage")
        stream.seek(0, os.SEEK_END)
        stream.write(noise)
    result = recover(tmp_path / "bag")
    assert (result.messages, result.damaged) == (10, 1)
    assert "1 damaged" in str(result)
    assert read(tmp_path / "bag") == [*range(5), *range(10, 15)]
    assert (tmp_path / "bag/bag.mcap.rest").read_bytes() == noise


@pytest.mark.parametrize("compression", list(CompressionType))
def test_recordings_of_other_programs_are_recovered(tmp_path: Path, compression: CompressionType) -> None:
    file = tmp_path / "other.mcap"
    with open(file, "wb") as stream:
        writer = OtherWriter(stream, chunk_size=500, compression=compression)
        writer.start("ros2")
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", STRING.encode())
        channel = writer.register_channel("/text", "cdr", schema)
        for index in range(50):
            writer.add_message(channel, 1_000 + index, message(index), 0)
        writer.flush()
        size = stream.tell()
        writer.finish()
    with open(file, "r+b") as stream:
        stream.truncate(size)
    recover(file)
    assert read(file) == list(range(50))


def test_qos_of_older_recordings_is_converted_to_version_9(tmp_path: Path) -> None:
    numbers = {**QOS, "history": 1, "reliability": 1, "durability": 2, "liveliness": 1}
    bag = BagWriter(tmp_path / "bag")
    bag.add_topic("/text", "std_msgs/msg/String", STRING, "", [numbers])
    bag.close()
    with Reader(tmp_path / "bag") as reader:
        (text,) = reader.connections
    assert text.ext.offered_qos_profiles[0].reliability.name == "RELIABLE"
    assert "reliability: reliable" in (tmp_path / "bag/metadata.yaml").read_text()


def test_all_files_of_a_bag_are_recovered(tmp_path: Path) -> None:
    for part in range(2):
        bag = begin(tmp_path / f"run_{part}")
        fill(bag, 5 * part, 5 * part + 5)
        bag.flush()
        abandon(bag)
    shutil.move(tmp_path / "run_1/run_1.mcap", tmp_path / "run_0")
    assert recover(tmp_path / "run_0").messages == 10
    with AnyReader([tmp_path / "run_0"]) as reader:
        assert len(list(reader.messages())) == 10


def test_unrecoverable_files_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    bag = begin(tmp_path / "bag")
    with pytest.raises(ValueError, match="still being recorded"):
        recover(tmp_path / "bag")
    bag.close()
    (tmp_path / "empty").mkdir()
    (tmp_path / "sqlite").mkdir()
    (tmp_path / "sqlite/a.db3").touch()
    (tmp_path / "text.mcap").write_text("no recording")
    assert main([str(tmp_path / name) for name in ("none", "empty", "sqlite", "text.mcap", "bag")]) == 1
    out, err = capsys.readouterr()
    assert [line.rsplit(": ", 1)[1].rsplit("/", 1)[1] for line in err.splitlines()] == [
        "none",
        "empty contains no .mcap file",
        "sqlite contains no .mcap file; use `ros2 bag reindex` for SQLite",
        "text.mcap is not an MCAP file, or is empty",
    ]
    assert "complete already" in out


@pytest.mark.parametrize("room", [30_000, 60_000, 1_000_000])
def test_full_disk_loses_only_the_last_chunks(tmp_path: Path, room: int) -> None:
    written = flushed = 0
    with disk_of(room):
        bag = begin(tmp_path / "bag")
        with pytest.raises(OSError, match="File too large"):
            while True:
                fill(bag, written, written + 5, size=400)
                written += 5
                bag.flush()
                flushed = written
        with pytest.raises(OSError, match="File too large"):
            bag.write(1, 1, message(0))
        bag.close()
        assert bag.is_complete
    assert flushed >= 5 and read(tmp_path / "bag") == list(range(flushed)), "there is room for the index"
    assert bag._file.path.stat().st_size <= room


def test_full_disk_at_the_end(tmp_path: Path) -> None:
    bag = begin(tmp_path / "bag")
    for index in range(10):
        fill(bag, 5 * index, 5 * index + 5)
        bag.flush()
    with disk_of(bag.size + 20), pytest.raises(OSError, match="No space left"):  # another process has filled it
        bag.close()
    assert bag.is_complete
    messages = read(tmp_path / "bag")
    assert 20 <= len(messages) < 50 and messages == list(range(len(messages)))


def test_unwritable_metadata_loses_no_messages(tmp_path: Path) -> None:
    bag = begin(tmp_path / "bag")
    fill(bag, 0, 5)
    (tmp_path / "bag/metadata.yaml.new").symlink_to("/dev/full")  # as without free inodes
    with pytest.raises(OSError, match="No space left"):
        bag.close()
    assert not bag.is_complete
    assert recover(tmp_path / "bag").messages == 5
    assert read(tmp_path / "bag") == list(range(5))


def test_failing_disk_loses_no_chunks(tmp_path: Path) -> None:
    bag = begin(tmp_path / "bag")
    for index in range(10):
        fill(bag, 50 * index, 50 * index + 50, size=40_000)
        bag.flush()
    with disk_of(10), pytest.raises(OSError, match="File too large"):
        bag.close()
    recover(tmp_path / "bag")
    assert read(tmp_path / "bag") == list(range(500))


def test_full_disk_at_the_beginning_leaves_no_folder(tmp_path: Path) -> None:
    with disk_of(10), pytest.raises(OSError, match="File too large"):
        BagWriter(tmp_path / "bag")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_a_real_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {disk} 2> /dev/null"):
        pytest.skip("this container may not mount a file system")
    try:
        bag = begin(disk / "bag")
        index = 0
        with pytest.raises(OSError, match="No space left"):
            while True:
                fill(bag, index, index + 5, size=4_000)
                bag.flush()
                index += 5
        bag.close()
        assert index > 5 and read(disk / "bag") == list(range(index))
    finally:
        os.system(f"umount {disk}")


def test_deleted_bag_is_noticed(tmp_path: Path) -> None:
    bag = begin(tmp_path / "bag")
    fill(bag, 0, 5)
    shutil.rmtree(tmp_path / "bag")
    with pytest.raises(FileNotFoundError, match="deleted while it was being recorded"):
        bag.flush()
    with pytest.raises(FileNotFoundError):
        bag.close()
    assert not bag.is_complete and not (tmp_path / "bag").exists()


def test_a_file_without_a_bag(tmp_path: Path) -> None:
    file = McapFile(tmp_path / "one.mcap")
    channel = file.add_channel("/text", "std_msgs/msg/String", STRING, {})
    file.write(channel, 7, message(3))
    file.flush()
    file.complete()
    file.close()
    assert read(tmp_path / "one.mcap") == [3]
    with pytest.raises(FileExistsError):
        McapFile(tmp_path / "one.mcap")
