"""Bags are read behind damage, and stamps without images."""

import pytest
from recorded_bags import COMPRESSED, Recorded, coded, damage, picture, pictures, write_bag, write_chunks

from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.bag_reader import BagReader


def other(image):
    """A message of another topic at the time of an image."""
    return Recorded("/other", COMPRESSED, image.stamp, coded(picture(0)))


def times(reader, *arguments):
    return [(connection.topic, time) for connection, time, _ in reader.messages(*arguments)]


@pytest.mark.parametrize("broken", [(0,), (8,), (3, 4), (0, 5, 8), range(9)])
def test_messages_of_damaged_chunks_are_left_out(tmp_path, broken):
    """All others come once, in order, also those of the same time."""
    messages = [message for image in pictures(9) for message in (other(image), image, other(image))]
    file, starts = write_chunks(tmp_path / "run", *messages)
    with BagReader(file) as reader:
        whole = times(reader)
    damage(file, *(starts[3 * number + 1] + 60 for number in broken))
    damaged = {whole[3 * number + 1] for number in broken}
    known = {}
    with BagReader(file, known) as reader:
        assert times(reader) == [one for place, one in enumerate(whole) if place % 3 != 1 or place // 3 not in broken]
        start = whole[9][1]
        assert times(reader, (), start) == [
            one for place, one in enumerate(whole) if place >= 9 and (place % 3 != 1 or place // 3 not in broken)
        ]
    assert len(damaged) == len(broken) and {start for _, start in known} == {starts[3 * n + 1] for n in broken}


@pytest.mark.parametrize("kind", ["chunks", "mcap", "sqlite3", "uncompressed"])
def test_heads_are_the_beginnings_of_messages(tmp_path, kind):
    """Of chunks with one message and with many, of compressed and plain ones, and of a database."""
    messages = [message for image in pictures(9) for message in (image, other(image))]
    if kind == "uncompressed":
        messages = [one._replace(kind=COMPRESSED, fields=coded(picture(9, 90, 90))) for one in messages]
    if kind in ("mcap", "sqlite3"):
        path = write_bag(tmp_path / "run", *messages, storage=kind)
    else:
        path, _ = write_chunks(tmp_path / "run", *messages)
    with BagReader(path) as reader:
        for topic in ("/image", "/other"):
            connections = [one for one in reader.connections if one.topic == topic]
            whole = [(time, len(data), bytes(data[:256])) for _, time, data in reader.messages(connections)]
            assert [(time, size, head[:256]) for time, size, head in reader.heads(connections)] == whole
            assert len(whole) == 9


def test_errors_without_a_damaged_chunk(tmp_path):
    path = write_bag(tmp_path / "run", *pictures(60), storage="sqlite3")
    (file,) = path.glob("*.db3")
    with BagReader(path) as reader:
        data = bytearray(file.read_bytes())
        data[20_000:40_000] = bytes(20_000)
        file.write_bytes(data)
        with pytest.raises(ClipError, match=r"run: cannot be read any further: .*malformed"):
            list(reader.messages())


def test_what_is_no_bag(tmp_path):
    (tmp_path / "run.mcap").write_bytes(b"nothing")
    with pytest.raises(ClipError, match=r"run\.mcap: cannot be read: .*sam2_ros recover"):
        BagReader(tmp_path / "run.mcap")
