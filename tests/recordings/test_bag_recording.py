"""Bags as recordings: both storages, both directions, order, topics and damage."""

import random
import shutil
import struct

import numpy as np
import pytest
import recorded_bags
from recorded_bags import (
    ARRAY,
    COMPRESSED,
    IMAGE,
    SECOND,
    Recorded,
    coded,
    damage,
    picture,
    pictures,
    raw,
    serialized,
    write_bag,
    write_chunks,
)
from rosbags.highlevel import AnyReader

from sam2_ros.data.clips import ClipError
from sam2_ros.data.image_message import ImageDecoder
from sam2_ros.recordings import bag_recording
from sam2_ros.recordings.bag_recording import BagRecording


def shown(recording, numbers, images=None) -> None:
    """The images of a recording, in both directions, are the pictures of these numbers."""
    images = list(recording.images()) if images is None else images
    assert [image.index for image in images] == list(range(len(numbers)))
    assert [image.stamp for image in images] == list(recording.stamps)
    for image, number in zip(images, numbers, strict=True):
        np.testing.assert_array_equal(image.pixels, picture(number))
    backwards = list(recording.images_backwards(len(recording) - 1))
    assert [image.index for image in backwards] == [image.index for image in images[::-1]]
    for image, other in zip(backwards, images[::-1], strict=True):
        np.testing.assert_array_equal(image.pixels, other.pixels)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of three pictures."""
    monkeypatch.setattr(bag_recording, "BLOCK", 3 * len(serialized(pictures(1)[0])))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_images_in_both_directions(tmp_path, small_blocks, storage):
    recording = BagRecording(write_bag(tmp_path / "run", *pictures(11), storage=storage))
    shown(recording, range(11))
    assert (recording.name, recording.topic, recording.frame_id) == ("run", "/image", "camera_optical")
    assert recording.fps == pytest.approx(10) and not recording.damaged and not recording.notices
    assert [image.index for image in recording.images(4, 7)] == [4, 5, 6]
    assert [image.index for image in recording.images_backwards(6, 4)] == [6, 5, 4]
    assert recording.times.tolist() == [stamp + 7_000_000 for stamp in recording.stamps]
    (file,) = (file for file in (tmp_path / "run").iterdir() if file.suffix in (".mcap", ".db3"))
    shown(BagRecording(file), range(11))


def test_iterators_are_independent(tmp_path, small_blocks):
    recording = BagRecording(write_bag(tmp_path / "run", *pictures(9)))
    pairs = list(zip(recording.images(), recording.images_backwards(8), recording.images(), strict=True))
    assert [(a.index, b.index, c.index) for a, b, c in pairs] == [(i, 8 - i, i) for i in range(9)]
    for image, _, same in pairs:
        np.testing.assert_array_equal(image.pixels, same.pixels)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_order_is_that_of_stamps(tmp_path, small_blocks, storage):
    """Whatever the order of recording, and of several images with one stamp the first."""
    messages = pictures(12)
    random.Random(1).shuffle(messages)
    messages = [one._replace(time=SECOND * (1 + place)) for place, one in enumerate(messages)]
    again = messages[3]._replace(fields=raw(picture(99)), time=SECOND * 20)
    recording = BagRecording(write_bag(tmp_path / "run", *messages, again, storage=storage))
    shown(recording, range(12))
    assert recording.notices == ("images on /image with the stamp of an earlier one, left out: 1",)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_images_that_were_recorded_twice(tmp_path, small_blocks, storage):
    """Two recorded copies of a stamp and time: the first counts, once, in both directions."""
    messages = []
    for image in pictures(7):
        messages += [image, image._replace(fields=raw(picture(50)))]
    recording = BagRecording(write_bag(tmp_path / "run", *messages, storage=storage))
    shown(recording, range(7))
    assert recording.notices == ("images on /image with the stamp of an earlier one, left out: 7",)


def test_images_of_one_time(tmp_path, small_blocks):
    """A recorder with a coarse clock."""
    messages = [one._replace(time=SECOND * (1 + place // 4)) for place, one in enumerate(pictures(9)[::-1])]
    for storage in ("mcap", "sqlite3"):
        shown(BagRecording(write_bag(tmp_path / storage, *messages, storage=storage)), range(9))


def test_several_files(tmp_path, small_blocks):
    """A recording that was split; the later file begins before the end of the earlier one."""
    write_bag(tmp_path / "run", *pictures(9)[:5])
    write_bag(tmp_path / "rest", *(one._replace(time=one.stamp - SECOND // 4) for one in pictures(9)[5:]))
    shutil.copy(tmp_path / "rest/rest.mcap", tmp_path / "run/run_1.mcap")
    metadata = tmp_path / "run/metadata.yaml"
    text = metadata.read_text()
    assert "- run.mcap" in text
    metadata.write_text(text.replace("- run.mcap", "- run.mcap\n  - run_1.mcap"))
    shown(BagRecording(tmp_path / "run"), range(9))


def test_images_without_a_stamp_have_the_time_of_recording(tmp_path):
    messages = [one._replace(stamp=0, time=one.stamp) for one in pictures(5)]
    recording = BagRecording(write_bag(tmp_path / "run", *messages))
    shown(recording, range(5))
    assert list(recording.stamps) == [message.time for message in messages]
    assert recording.notices == ("images on /image without a stamp, which get the time of recording: 5",)


def thermal(number: int) -> np.ndarray:
    """An image of 14 bits; later ones are warmer."""
    return (7600 + 40 * number + picture(number, 48, 64)[..., 0].astype(np.uint16) * 2).astype(np.uint16)


@pytest.mark.parametrize("start", [0, 5, 9])
def test_16_bit_images_equal_the_nodes(tmp_path, start):
    """Wherever reading begins, in both directions, with a damaged image, an 8-bit one, and a change of size."""
    frames = [raw(thermal(number), "mono16") for number in range(14)]
    frames[3]["data"] = frames[3]["data"][:9]
    frames[4] = raw(picture(4, 48, 64))
    frames[7] = raw(thermal(7)[:40] + np.uint16(9000), "mono16")
    messages = [Recorded("/image", IMAGE, SECOND * (1 + number), frame) for number, frame in enumerate(frames)]
    path = write_bag(tmp_path / "run", *messages)
    live, seen = ImageDecoder(), {}
    with AnyReader([path]) as reader:
        for index, (_, _, data) in enumerate(reader.messages()):
            if index != 3:
                seen[index] = live.to_rgb(reader.deserialize(data, IMAGE))
    assert (seen[13] != ImageDecoder().to_rgb(reader_message(path, 13))).any(), "the range does not depend on others"
    recording = BagRecording(path)
    for images in (recording.images(start), BagRecording(path).images_backwards(13, start)):
        found = {image.index: image.pixels for image in images}
        assert found.keys() == {index for index in seen if index >= start}
        for index, pixels in found.items():
            np.testing.assert_array_equal(pixels, seen[index], err_msg=str(index))
    assert recording.damaged.keys() == ({3} if start <= 3 else set())


def reader_message(path, place):
    with AnyReader([path]) as reader:
        return reader.deserialize([data for _, _, data in reader.messages()][place], IMAGE)


def test_compressed_images(tmp_path):
    messages = [Recorded("/image/compressed", COMPRESSED, SECOND * (1 + i), coded(picture(i))) for i in range(4)]
    shown(BagRecording(write_bag(tmp_path / "run", *messages)), range(4))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_damaged_messages_are_left_out_and_named(tmp_path, small_blocks, storage):
    """A cut message, one that ends before its stamp, an unknown encoding, and half a PNG."""
    messages = pictures(8)
    messages[2] = messages[2]._replace(length=300)
    messages[4] = messages[4]._replace(length=9)
    messages[6] = messages[6]._replace(fields=raw(picture(6), "rgb99"))
    recording = BagRecording(write_bag(tmp_path / "run", *messages, storage=storage))
    assert [image.index for image in recording.images()] == [0, 1, 3, 4, 6]  # the fifth message has no place
    assert recording.damaged.keys() == {2, 5} and "rgb99" in recording.damaged[5] and recording.damaged[2]
    assert recording.notices == (
        "images on /image that are cut off before their stamp, or whose stamp is no time, left out: 1",
    )
    assert [image.index for image in recording.images_backwards(6)] == [6, 4, 3, 1, 0]
    halves = [coded(picture(number)) for number in range(3)]
    halves[1]["data"] = halves[1]["data"][:-99]
    coded_ones = [Recorded("/image", COMPRESSED, SECOND * (1 + i), half) for i, half in enumerate(halves)]
    recording = BagRecording(write_bag(tmp_path / "coded", *coded_ones, storage=storage))
    assert [image.index for image in recording.images()] == [0, 2] and "cut off" in recording.damaged[1]


def test_images_of_damaged_chunks_are_left_out_and_named(tmp_path, small_blocks):
    """Their stamps are known."""
    file, starts = write_chunks(tmp_path / "run", *pictures(9))
    damage(file, starts[3] + 500, starts[4] + 500)
    recording = BagRecording(tmp_path / "run")
    images = [image.index for image in recording.images()]
    assert images == [0, 1, 2, 5, 6, 7, 8] and recording.damaged.keys() == {3, 4}
    assert len(recording) == 9 and "part of the bag is damaged" in recording.damaged[3]
    again = BagRecording(file)
    assert [image.index for image in again.images_backwards(8)] == images[::-1] and again.damaged == recording.damaged
    with again.reader() as reader:
        assert len(list(reader.messages())) == 7


def test_chunks_whose_beginning_is_damaged_have_no_place(tmp_path):
    file, starts = write_chunks(tmp_path / "run", *pictures(9))
    damage(file, starts[3] + 58, starts[4] + 58)
    recording = BagRecording(tmp_path / "run")
    assert recording.notices == ("damaged chunks of the bag, left out: 2",)
    shown(recording, [0, 1, 2, 5, 6, 7, 8])


def test_a_damaged_database_is_one_error(tmp_path):
    path = write_bag(tmp_path / "run", *pictures(60), storage="sqlite3")
    (file,) = path.glob("*.db3")
    data = bytearray(file.read_bytes())
    data[20_000:40_000] = bytes(20_000)
    file.write_bytes(data)
    with pytest.raises(ClipError, match=r"run: cannot be read: .*malformed"):
        list(BagRecording(path).images())


def test_topics(tmp_path):
    """Of a robot: a camera with a compressed copy and depth, the node's outputs, and topics without messages."""
    depth = np.full((12, 16), 1000, np.uint16)
    messages = [
        *pictures(3, "/camera/color"),
        Recorded("/camera/color/compressed", COMPRESSED, SECOND, coded(picture(0))),
        Recorded("/camera/depth", IMAGE, SECOND, raw(depth, "16UC1")),
        Recorded("/camera/depth/compressedDepth", COMPRESSED, SECOND, coded(depth, format="16UC1; compressedDepth")),
        Recorded("/tracker/overlay", IMAGE, SECOND, raw(picture(1))),
        Recorded("/tracker/labels", IMAGE, SECOND, raw(depth, "mono16")),
        Recorded("/sam2/overlay/compressed", COMPRESSED, SECOND, coded(picture(1))),
        Recorded("/tracker/masklets", ARRAY, SECOND, {"height": 12, "width": 16, "masklets": []}),
    ]
    path = write_bag(tmp_path / "robot", *messages)
    assert BagRecording(path).topic == "/camera/color"
    assert BagRecording(path, "/tracker/overlay").topic == "/tracker/overlay"
    assert BagRecording(path, "/camera/color/compressed").kind == COMPRESSED
    with pytest.raises(
        ClipError, match=r"there is no topic /front of images; there are: /camera/color, /camera/color/"
    ):
        BagRecording(path, "/front")
    with pytest.raises(ClipError, match="/camera/depth has depth; choose a topic of colour"):
        BagRecording(path, "/camera/depth")
    only = write_bag(tmp_path / "only", Recorded("/depth", IMAGE, SECOND, raw(depth, "16UC1")))
    with pytest.raises(ClipError, match="/depth has depth; choose a topic of colour"):
        BagRecording(only)
    both = write_bag(tmp_path / "both", *pictures(3, "/left"), *pictures(2, "/right"))
    with pytest.raises(ClipError, match=r"topics of images: /left \(3 images\), /right \(2 images\); .*--images TOPIC"):
        BagRecording(both)
    shown(BagRecording(both, "/right"), range(2))


def test_without_images(tmp_path):
    message = Recorded("/tracker/masklets", ARRAY, SECOND, {"height": 12, "width": 16, "masklets": []})
    with pytest.raises(ClipError, match=r"there are no images .*; its topics: /tracker/masklets \(sam2_ros/msg/Mask"):
        BagRecording(write_bag(tmp_path / "run", message))
    cut = [one._replace(length=9) for one in pictures(3)]
    with pytest.raises(ClipError, match=r"no images on /image \(images on /image that are cut off before .*: 3\)"):
        BagRecording(write_bag(tmp_path / "cut", *cut))


def test_a_topic_without_messages(tmp_path):
    path = write_bag(tmp_path / "run", *pictures(2), empty={"/other": IMAGE})
    assert BagRecording(path).topic == "/image"
    with pytest.raises(ClipError, match="there are no images on /other"):
        BagRecording(path, "/other")
    with pytest.raises(ClipError, match=r"there are no images \(.*; its topics: /other \(sensor_msgs/msg/Image\)"):
        BagRecording(write_bag(tmp_path / "empty", empty={"/other": IMAGE}))


def test_fingerprint_is_of_the_content(tmp_path):
    path = write_bag(tmp_path / "run", *pictures(5))
    shutil.copytree(path, tmp_path / "copy")
    prints = {BagRecording(place).fingerprint() for place in (path, tmp_path / "copy")}
    others = [
        pictures(4),
        [one._replace(stamp=one.stamp + 1, time=one.stamp) for one in pictures(5)],
        [*pictures(4), pictures(5)[4]._replace(fields=raw(picture(77)))],
        pictures(5, "/front"),
    ]
    for number, messages in enumerate(others):
        prints.add(BagRecording(write_bag(tmp_path / f"other{number}", *messages)).fingerprint())
    assert len(prints) == 1 + len(others)


def test_stretch(tmp_path):
    """Indices, stamps and pixels stay those of the whole recording."""
    whole = BagRecording(write_bag(tmp_path / "run", *pictures(9)))
    part = whole.stretch(3, 6)
    assert [image.index for image in part.images()] == [3, 4, 5] and len(part) == 9 and part.span == range(3, 6)
    assert [image.index for image in part.images_backwards(8)] == [5, 4, 3]
    assert [image.index for image in part.images(4)] == [4, 5] and not list(part.images(7))
    assert part.stretch(4).span == range(4, 6)
    assert [image.index for image in whole.images()] == list(range(9))
    assert len({whole.fingerprint(), part.fingerprint(), whole.stretch(3, 7).fingerprint()}) == 3
    assert whole.stretch().fingerprint() == whole.fingerprint()
    with pytest.raises(ValueError, match="has 9 images; there are none from 9"):
        whole.stretch(9)


def test_stamp_that_is_no_time_is_left_out_and_counted(tmp_path, monkeypatch):
    """Its seconds and nanoseconds together do not fit into a stamp again."""
    whole = recorded_bags.serialized

    def serialized(message):
        data = bytearray(whole(message))
        if message.stamp == 2 * SECOND:
            data[4:12] = struct.pack("<iI", 2**31 - 1, 4_000_000_000)
        return bytes(data)

    monkeypatch.setattr(recorded_bags, "serialized", serialized)
    images = [Recorded("/image", IMAGE, stamp * SECOND, raw(picture(stamp))) for stamp in (1, 2, 3)]
    recording = BagRecording(write_bag(tmp_path / "run1", *images))
    assert list(recording.stamps) == [1 * SECOND, 3 * SECOND]
    assert "whose stamp is no time, left out: 1" in recording.notices[0]
    shown(recording, [1, 3])
