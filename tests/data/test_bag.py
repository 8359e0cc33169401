"""Bags: written without ROS, read by ROS's own messages, and the other way round."""

import contextlib
import json
import shutil
import sqlite3
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from small_clips import make_clip, same_frames, same_masks

from sam2_ros.data import bag
from sam2_ros.data.bag_types import typestore
from sam2_ros.data.clips import ClipError, DataWarning
from sam2_ros.data.formats import open_clips
from sam2_ros.data.image_message import ImageDecoder, to_rgb
from sam2_ros.tracking import rle

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_round_trip(storage, tmp_path):
    """Overlapping masks and frames bit by bit; a frame without masks is one without a message."""
    clip = make_clip(every=2, overlap=True, fps=10)
    bag.write(clip, tmp_path / "monday", storage=storage)
    bag.write(make_clip(frames=2), tmp_path / "tuesday", storage=storage)
    clips = open_clips(tmp_path)
    assert clips.names == ("monday", "tuesday")
    assert clips[0].fps == pytest.approx(10)
    same_masks(clips[0], clip)
    same_frames(clips[0], clip, 0)
    np.testing.assert_array_equal(clips[0].frames[5], clip.frames[5])
    (file,) = (path for path in (tmp_path / "monday").iterdir() if path.suffix in bag.SUFFIXES)
    same_masks(open_clips(file)[0], clip)


def test_bags_of_one_name_are_all_read(tmp_path):
    """A recorded folder beside a file of the same name."""
    for number, name in enumerate(("run1", "other"), start=2):
        bag.write(make_clip(frames=number), tmp_path / name)
    (file,) = (tmp_path / "other").glob("*.mcap")
    file.rename(tmp_path / "run1.mcap")
    shutil.rmtree(tmp_path / "other")
    clips = open_clips(tmp_path)
    assert {clip.name: len(clip) for clip in clips} == {"run1": 2, "run1.mcap": 3}


def test_incomplete_bag_is_named_beside_others(tmp_path):
    for name in ("whole", "cut"):
        bag.write(make_clip(frames=2), tmp_path / name)
    (tmp_path / "cut" / "metadata.yaml").unlink()
    with pytest.warns(DataWarning, match=r"sam2_ros recover .*cut` completes"):
        assert open_clips(tmp_path).names == ("whole",)


def test_bags_without_definitions(tmp_path):
    """SQLite recordings of ROS 2 Humble: the types come from our .msg files."""
    clip = make_clip()
    bag.write(clip, tmp_path / "bag", storage="sqlite3")
    (file,) = (tmp_path / "bag").glob("*.db3")
    with contextlib.closing(sqlite3.connect(file)) as database:
        assert database.execute("delete from message_definitions").rowcount == 2
        database.commit()
    same_masks(bag.read(tmp_path / "bag"), clip)


def test_rclpy_reads_written_bags(tmp_path):
    """The messages, and the definitions with their hashes, are those of the generated sam2_ros.msg."""
    serialization = pytest.importorskip("rclpy.serialization")
    from sensor_msgs.msg import Image

    from sam2_ros.msg import MaskletArray

    clip = make_clip(ids=(1, 2, 5))
    bag.write(clip, tmp_path / "bag")
    with AnyReader([tmp_path / "bag"]) as reader:
        topics = {connection.topic: connection for connection in reader.connections}
        assert list(topics) == ["/camera/image_raw", "/sam2/masklets"]
        serialized = {name: [data for _, _, data in reader.messages([topic])] for name, topic in topics.items()}
        digest = topics["/sam2/masklets"].digest
    image = serialization.deserialize_message(bytes(serialized["/camera/image_raw"][3]), Image)
    array = serialization.deserialize_message(bytes(serialized["/sam2/masklets"][3]), MaskletArray)
    assert image.header == array.header and image.header.frame_id == "camera"
    assert (image.header.stamp.sec, image.header.stamp.nanosec) == (1, 125_000_000)
    assert (image.encoding, image.height, image.width, image.step) == ("rgb8", 48, 64, 192)
    np.testing.assert_array_equal(np.array(image.data).reshape(48, 64, 3), clip.frames[3])
    assert [one.object_id for one in array.masklets] == [1, 2, 5]
    assert [one.present for one in array.masklets] == [True, True, False]
    box = array.masklets[0].box
    assert (box.x_offset, box.y_offset, box.width, box.height) == (9, 0, 14, 12)
    assert sum(array.masklets[0].mask.counts[1::2]) == 12 * 14
    description = json.loads((_share() / "msg/MaskletArray.json").read_text())
    hashes = {one["type_name"]: one["hash_string"] for one in description["type_hashes"]}
    assert digest == hashes["sam2_ros/msg/MaskletArray"]


def test_bags_of_rclpy_are_read(tmp_path):
    """Messages as a recorder receives them, serialised by ROS."""
    serialization = pytest.importorskip("rclpy.serialization")
    from builtin_interfaces.msg import Time
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    from sam2_ros.msg import Mask, Masklet, MaskletArray

    clip, store = make_clip(ids=(2,)), typestore()
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        images = writer.add_connection("/image", RGB, typestore=store)
        arrays = writer.add_connection("/masklets", ARRAY, typestore=store)
        for index in range(len(clip)):
            header = Header(stamp=Time(sec=1700000000, nanosec=index * 100_000_000), frame_id="camera_optical")
            mask = Mask(height=48, width=64, counts=rle.encode(clip.masks[index][0]))
            masklets = [Masklet(object_id=2, label="box", present=bool(clip.masks[index].any()), mask=mask)]
            array = MaskletArray(header=header, height=48, width=64, masklets=masklets)
            pixels = clip.frames[index].tobytes()
            picture = Image(header=header, height=48, width=64, encoding="rgb8", step=192, data=pixels)
            writer.write(images, 5 + index, serialization.serialize_message(picture))
            writer.write(arrays, 6 + index, serialization.serialize_message(array))
    read = bag.read(tmp_path / "bag")
    assert read.fps == pytest.approx(10)
    same_masks(read, clip)
    same_frames(read, clip, 0)


def _share() -> Path:
    packages = pytest.importorskip("ament_index_python")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AMENT_PREFIX_PATH", sys.prefix)
        return Path(packages.get_package_share_directory("sam2_ros"))


@pytest.fixture
def recorded(tmp_path):
    """Write a bag of these (topic, type, stamp in ns, fields) from rosbags' own messages of ROS 2 and ours."""
    store = typestore()
    types = store.types

    def header(stamp):
        return types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9)), "camera")

    def record(*messages, name="bag"):
        with Writer(tmp_path / name, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            topics = {}
            for topic, kind, stamp, fields in messages:
                if topic not in topics:
                    topics[topic] = writer.add_connection(topic, kind, typestore=store)
                message = types[kind](header(stamp), **fields)
                writer.write(topics[topic], stamp + 7_000_000, store.serialize_cdr(message, kind))
        return tmp_path / name

    return record


def image(pixels: np.ndarray, encoding: str, padding: int = 0) -> dict:
    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, -1).view(np.uint8), ((0, 0), (0, padding)), constant_values=77)
    fields = {"height": height, "width": width, "encoding": encoding, "is_bigendian": 0, "step": rows.shape[1]}
    return fields | {"data": rows.reshape(-1)}


RGB, ARRAY = "sensor_msgs/msg/Image", "sam2_ros/msg/MaskletArray"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
EMPTY = {"height": 48, "width": 64, "masklets": []}
PICTURE = make_clip().frames[0]


@pytest.mark.parametrize(
    ("encoding", "pixels", "expected"),
    [
        ("rgb8", PICTURE, PICTURE),
        ("bgr8", PICTURE[..., ::-1].copy(), PICTURE),
        ("8UC3", PICTURE[..., ::-1].copy(), PICTURE),
        ("bgra8", np.dstack([PICTURE[..., ::-1], np.zeros((48, 64), np.uint8)]), PICTURE),
        ("mono8", PICTURE[..., 0].copy(), PICTURE[..., :1].repeat(3, 2)),
        ("8UC1", PICTURE[..., 0].copy(), PICTURE[..., :1].repeat(3, 2)),
        ("rgb16", PICTURE.astype(np.uint16) * 257, PICTURE),
        ("bgr16", PICTURE[..., ::-1].astype(np.uint16) * 257, PICTURE),
    ],
)
@pytest.mark.parametrize("padding", [0, 1, 70])
def test_encodings(recorded, encoding, pixels, expected, padding):
    clip = bag.read(recorded(("/image", RGB, 10**9, image(pixels, encoding, padding))))
    assert clip.object_ids == () and clip.masks[0] is None
    np.testing.assert_array_equal(clip.frames[0], expected)


def test_step_of_zero(recorded):
    """Some drivers set step to 0: rows without padding."""
    clip = bag.read(recorded(("/image", RGB, 10**9, image(PICTURE, "rgb8") | {"step": 0})))
    np.testing.assert_array_equal(clip.frames[0], PICTURE)


def test_compressed_images(recorded):
    """PNG is exact; grey stays grey; a truncated JPEG is an error, not half a picture."""
    png = cv2.imencode(".png", PICTURE[..., ::-1])[1].ravel()
    grey = cv2.imencode(".png", PICTURE[..., 0])[1].ravel()
    jpeg = cv2.imencode(".jpg", PICTURE[..., ::-1])[1].ravel()
    path = recorded(
        *(
            ("/image/compressed", COMPRESSED, 10**9 * (1 + i), {"format": "", "data": data})
            for i, data in enumerate([png, grey, jpeg, jpeg[:-200], png[:-200], png[:5]])
        )
    )
    clip = bag.read(path)
    np.testing.assert_array_equal(clip.frames[0], PICTURE)
    np.testing.assert_array_equal(clip.frames[1], PICTURE[..., :1].repeat(3, 2))
    assert np.abs(clip.frames[2].astype(int) - PICTURE).mean() < 2.5
    for index in (3, 4, 5):
        with pytest.raises(ClipError, match=f"{path}, frame {index}: cannot be read"):
            clip.frames[index]


def thermal(index: int) -> np.ndarray:
    """A thermal image of 14 bits; later ones are warmer."""
    return (7600 + 10 * index + PICTURE[..., 0].astype(np.uint16) * 2).astype(np.uint16)


def test_16_bit_images_equal_the_nodes(recorded):
    """Raw and as PNG, in any order of access; an unreadable image does not affect the others."""
    frames = [image(thermal(index), "mono16") for index in range(12)]
    frames[5] |= {"data": frames[5]["data"][:9]}
    pngs = [
        {"format": "mono16; png compressed ", "data": cv2.imencode(".png", thermal(i))[1].ravel()} for i in range(12)
    ]
    path = recorded(*(("/image", RGB, 10**9 * (1 + index), fields) for index, fields in enumerate(frames)))
    again = recorded(*(("/png", COMPRESSED, 10**9 * (1 + i), fields) for i, fields in enumerate(pngs)), name="again")
    live = ImageDecoder()
    with AnyReader([path]) as reader:
        messages = [reader.deserialize(data, RGB) for _, _, data in reader.messages()]
    seen = {index: live.to_rgb(message) for index, message in enumerate(messages) if index != 5}
    assert seen[0].std() > 40 and (seen[11] != to_rgb(messages[11])).any()
    for index in (11, 0, 6, 11, 4):
        np.testing.assert_array_equal(bag.read(path).frames[index], seen[index])
    with pytest.raises(ClipError, match="frame 5: cannot be read: the data is cut off"):
        bag.read(path).frames[5]
    np.testing.assert_array_equal(bag.read(again).frames[3], seen[3])


def test_decompression_bombs_in_a_bag_are_refused(recorded):
    size = np.zeros((1, 1), np.uint8)
    bomb = bytearray(cv2.imencode(".png", size)[1].tobytes())
    bomb[16:24] = struct.pack(">II", 30_000, 30_000)
    fields = {"format": "png", "data": np.frombuffer(bytes(bomb), np.uint8)}
    with pytest.raises(ClipError, match=r"frame 0: cannot be read: .*30000 x 30000 pixels are too many"):
        bag.read(recorded(("/image/compressed", COMPRESSED, 10**9, fields))).frames[0]


def test_masklets_belong_to_images_by_stamp(recorded):
    """In any order of arrival; of two answers for one image the later one counts."""
    a, b, c = 10**9, 2 * 10**9, 3 * 10**9
    types = typestore().types

    def masklets(object_id):
        mask = np.zeros((48, 64), bool)
        mask[object_id, 3:9] = True
        return EMPTY | {"masklets": [bag._masklet(types, object_id, mask)]}

    path = recorded(
        ("/image", RGB, a, image(PICTURE, "rgb8")),
        ("/image", RGB, c, image(PICTURE, "rgb8")),
        ("/image", RGB, b, image(PICTURE, "rgb8")),
        ("/masklets", ARRAY, c, masklets(4)),
        ("/masklets", ARRAY, a, masklets(9)),
        ("/masklets", ARRAY, a, masklets(2)),
        ("/masklets", ARRAY, c + 1, masklets(8)),  # its image was not recorded
    )
    clip = bag.read(path)
    assert clip.object_ids == (2, 4)
    assert clip.masks[1] is None
    assert clip.masks[0][0, 2, 3:9].all() and clip.masks[0].sum() == 6
    assert clip.masks[2][1, 4, 3:9].all() and clip.masks[2].sum() == 6


def test_ambiguous_topics_must_be_chosen(recorded):
    path = recorded(
        ("/left", RGB, 10**9, image(PICTURE, "rgb8")),
        ("/right", RGB, 10**9, image(PICTURE[:, ::-1].copy(), "rgb8")),
        ("/one", ARRAY, 10**9, EMPTY),
        ("/two", ARRAY, 10**9, EMPTY),
    )
    with pytest.raises(ClipError, match=r"one topic of .*Image.*there are: /left, /right \(choose with --images TOPIC"):
        bag.read(path, masklets="/one")
    with pytest.raises(ClipError, match=r"there is no topic /up .*there are: /left, /right"):
        bag.read(path, "/up", "/one")
    with pytest.raises(ClipError, match=r"MaskletArray; there are: /one, /two \(choose with --masklets TOPIC"):
        bag.read(path, images="/right")
    np.testing.assert_array_equal(bag.read(path, "/right", "/two").frames[0], PICTURE[:, ::-1])
    np.testing.assert_array_equal(open_clips(path, "/right", "/two")[0].frames[0], PICTURE[:, ::-1])


def test_images_with_stamps_of_masklets_are_chosen(recorded):
    """Images of another camera, and the node's own overlay, are not chosen; a compressed copy is no second topic."""
    jpeg = {"format": "jpeg", "data": cv2.imencode(".jpg", PICTURE[..., ::-1])[1].ravel()}
    path = recorded(
        *(("/up/image", RGB, 10**9 * t + 1, image(PICTURE * 0, "rgb8")) for t in (1, 2)),
        *(("/front/image", RGB, 10**9 * t, image(PICTURE, "rgb8")) for t in (1, 2)),
        *(("/front/image/compressed", COMPRESSED, 10**9 * t, jpeg) for t in (1, 2)),
        *(("/sam2/overlay", RGB, 10**9 * t, image(PICTURE * 0, "rgb8")) for t in (1, 2)),
        *(("/sam2/labels", RGB, 10**9 * t, image(PICTURE[..., 0].astype(np.uint16), "mono16")) for t in (1, 2)),
        ("/sam2/masklets", ARRAY, 10**9, EMPTY),
    )
    np.testing.assert_array_equal(bag.read(path).frames[1], PICTURE)
    assert not bag.read(path, images="/sam2/overlay").frames[0].any()


def test_object_missing_from_a_masklet_array_is_unknown(recorded):
    """It is prompted later, or is no longer tracked; a listed object that is not present is hidden."""
    types = typestore().types
    square, nothing = np.zeros((2, 48, 64), bool)
    square[3:9, 3:9] = True
    named = [{1: square}, {1: nothing, 2: square}, {2: square}]
    path = recorded(
        *(("/image", RGB, 10**9 * t, image(PICTURE, "rgb8")) for t in (1, 2, 3, 4)),
        *(
            ("/masklets", ARRAY, 10**9 * t, EMPTY | {"masklets": [bag._masklet(types, *one) for one in here.items()]})
            for t, here in enumerate(named, 1)
        ),
    )
    clip = bag.read(path)
    assert clip.object_ids == (1, 2)
    assert clip.known.tolist() == [[True, False], [True, True], [False, True], [False, False]]
    assert [None if masks is None else masks.any(axis=(1, 2)).tolist() for masks in clip.masks] == [
        [True, False], [False, True], [False, True], None
    ]  # fmt: skip
    bag.write(clip, path.with_name("again"))
    np.testing.assert_array_equal(bag.read(path.with_name("again")).known, clip.known)


def test_index_is_cached(tmp_path, monkeypatch):
    clip = make_clip(every=2)
    bag.write(clip, tmp_path / "bag")
    bag.read(tmp_path / "bag")
    monkeypatch.setattr(bag, "_indexed", None)
    same_masks(bag.read(tmp_path / "bag"), clip)
    same_frames(bag.read(tmp_path / "bag"), clip, 0)


@pytest.mark.parametrize(
    ("messages", "frame", "problem"),
    [
        (
            [("/i", RGB, 10**9, image(PICTURE, "rgb8") | {"data": PICTURE.reshape(-1)[:-5]})],
            0,
            "9211 bytes instead of 9216",
        ),
        ([("/i", RGB, 10**9, image(PICTURE, "rgb8") | {"step": 191})], 0, "step is 191 bytes, but a row .* takes 192"),
        ([("/i", RGB, 10**9, image(PICTURE[..., 0].astype(np.uint16), "16UC1"))], 0, "looks like depth"),
        ([("/i", RGB, 10**9, image(PICTURE, "purple"))], 0, "'purple' is not known"),
        ([("/i", RGB, 0, image(PICTURE, "rgb8"))], None, "without a stamp"),
        ([("/m", ARRAY, 10**9, EMPTY)], None, "one topic of .*there are: none"),
        (
            [("/i", RGB, 10**9, image(PICTURE, "rgb8")), ("/m", ARRAY, 10**9 + 1, EMPTY)],
            None,
            "no masklets on /m have the stamp of an image on /i",
        ),
        (
            [("/i", RGB, 10**9, image(PICTURE, "rgb8")), ("/m", ARRAY, 10**9, EMPTY | {"height": 47})],
            0,
            "the image is 64 x 48 pixels, its masklets 64 x 47",
        ),
    ],
)
def test_bad_messages(recorded, messages, frame, problem):
    path = recorded(*messages)
    with pytest.raises(ClipError, match=problem) as caught:
        list(bag.read(path).frames)
    assert caught.value.file == path and caught.value.frame == frame


def test_masks_of_a_wrong_size(recorded):
    types = typestore().types
    masklet = bag._masklet(types, 3, np.ones((48, 60), bool))
    path = recorded(
        ("/i", RGB, 10**9, image(PICTURE, "rgb8")),
        ("/m", ARRAY, 10**9, EMPTY | {"masklets": [masklet]}),
    )
    with pytest.raises(ClipError, match="frame 0: object 3: run lengths cover 2880 pixels"):
        bag.read(path).masks[0]
