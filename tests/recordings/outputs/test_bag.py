"""The bag of a run, read by rosbags, by mcap, and by this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_runs import make_run
from mcap.reader import make_reader
from PIL import Image
from recorded_bags import LATER, damage, picture, pictures, write_chunks
from rosbags.highlevel import AnyReader
from small_clips import make_clip, same_frames, same_masks

from sam2_ros.data import bag as bags
from sam2_ros.data.bag_corrections import uncorrected
from sam2_ros.data.bag_types import typestore
from sam2_ros.data.clip import Clip
from sam2_ros.data.images import write_jpeg
from sam2_ros.data.video_writer import VideoWriter
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs import bag
from sam2_ros.recordings.outputs.finished_run import FinishedRun


def read(path: Path) -> list[tuple[str, int, int, Any]]:
    """Topic, time of receipt, stamp and message of each, as rosbags reads them."""
    with AnyReader([path], default_typestore=typestore()) as reader:
        found = []
        for connection, time, data in reader.messages():
            message: Any = reader.deserialize(data, connection.msgtype)
            found.append(
                (connection.topic, time, message.header.stamp.sec * 10**9 + message.header.stamp.nanosec, message)
            )
    with open(path / f"{path.name}.mcap", "rb") as file:
        others = [
            (channel.topic, record.log_time)
            for _, channel, record in make_reader(file, validate_crcs=True).iter_messages()
        ]
    assert sorted(others) == sorted(one[:2] for one in found)
    assert [time for _, time in others] == [time for _, time, _, _ in found], "in the order of time"
    return found


def test_masklets_lie_beside_the_original_messages(tmp_path: Path) -> None:
    clip = make_clip()
    run = make_run(tmp_path, clip)
    assert bag.write(run, tmp_path / "bag") == []

    originals = read(tmp_path / "source")
    found = read(tmp_path / "bag")
    topics = [topic for topic, *_ in found]
    assert {topic: topics.count(topic) for topic in topics} == {
        "/camera/image_raw": 9,
        "/truth": 9,
        "/sam2/masklets": 9,
        "/sam2/applied_prompts": 4,
    }
    for topic in ("/camera/image_raw", "/truth"):
        pairs = zip(
            (one for one in originals if one[0] == topic), (one for one in found if one[0] == topic), strict=True
        )
        for before, after in pairs:
            assert before[:3] == after[:3] and str(before[3]) == str(after[3])
    for index, (_, time, stamp, array) in enumerate(one for one in found if one[0] == "/sam2/masklets"):
        assert (time, stamp) == (run.recording.stamps[index],) * 2 and array.header.frame_id == "camera"
        assert [masklet.object_id for masklet in array.masklets] == [1, 2] + [5] * (index >= 4)
    prompted = [(stamp, array.prompts[0].object_id) for topic, _, stamp, array in found if "prompts" in topic]
    assert prompted == [
        (run.recording.stamps[frame], object_id) for frame, object_id in ((0, 1), (0, 2), (4, 5), (6, 1))
    ]


def test_bag_is_read_as_a_clip_and_its_corrections_are_seen(tmp_path: Path) -> None:
    clip = make_clip()
    run = make_run(tmp_path, clip)
    bag.write(run, tmp_path / "bag")
    again = bags.read(tmp_path / "bag", masklets="/sam2/masklets")
    same_masks(again, clip)
    same_frames(again, clip, tolerance=0)
    assert again.known is not None and again.known[:, 2].tolist() == [False] * 4 + [True] * 5
    assert uncorrected(tmp_path / "bag") == [], "object 1 was corrected"
    first_only = FinishedRun(run.recording, run.store, run.prompts[:3], originals=False)
    bag.write(first_only, tmp_path / "alone/bag")
    assert uncorrected(tmp_path / "alone/bag") == [tmp_path / "alone/bag"]


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path, make_clip())
    for place in ("one", "two"):
        bag.write(run, tmp_path / place / "bag")
    for name in ("bag.mcap", "metadata.yaml"):
        assert (tmp_path / "one/bag" / name).read_bytes() == (tmp_path / "two/bag" / name).read_bytes()


def test_topics_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    clip = make_clip()
    run = make_run(tmp_path, clip)
    bag.write(run, tmp_path / "bag")
    second = make_run(tmp_path / "second", clip, open_recording(tmp_path / "bag", images="/camera/image_raw"))
    (note,) = bag.write(second, tmp_path / "second/bag")
    assert note.startswith("/sam2/applied_prompts and /sam2/masklets of") and "replaced" in note
    first, again = read(tmp_path / "bag"), read(tmp_path / "second/bag")
    assert sorted(map(str, first)) == sorted(map(str, again))


def test_masklets_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path, make_clip())
    bag.write(FinishedRun(run.recording, run.store, run.prompts, originals=False), tmp_path / "bag")
    assert {topic for topic, *_ in read(tmp_path / "bag")} == {"/sam2/masklets", "/sam2/applied_prompts"}


def test_metadata_names_qos_and_types(tmp_path: Path) -> None:
    run = make_run(tmp_path, make_clip(frames=5))
    bag.write(run, tmp_path / "bag")
    with AnyReader([tmp_path / "bag"]) as reader:
        topics = {connection.topic: connection for connection in reader.connections}
        for topic, kind, depth in (
            ("/sam2/masklets", "sam2_ros/msg/MaskletArray", 10),
            ("/sam2/applied_prompts", "sam2_ros/msg/PromptArray", 100),
        ):
            qos = topics[topic].ext.offered_qos_profiles[0]
            assert (topics[topic].msgtype, qos.depth, qos.reliability.name) == (kind, depth, "RELIABLE")
            assert topics[topic].digest == typestore().hash_rihs01(kind)
        image = topics["/camera/image_raw"]
        assert image.digest == typestore().hash_rihs01("sensor_msgs/msg/Image"), "as in the source's metadata.yaml"


def test_damaged_images_have_no_masklets(tmp_path: Path) -> None:
    clip = make_clip(frames=6, ids=(1, 2))
    folder = tmp_path / "images"
    for index, frame in enumerate(clip.frames):
        write_jpeg(folder / f"{index}.jpg", frame, 95)
    (folder / "3.jpg").write_bytes((folder / "3.jpg").read_bytes()[:300])
    run = make_run(tmp_path, clip, open_recording(folder))
    run = FinishedRun(run.recording, run.store, run.prompts[:2])
    bag.write(run, tmp_path / "bag")
    found = read(tmp_path / "bag")
    kept = [run.recording.stamps[index] for index in (0, 1, 2, 4, 5)]
    for topic in ("/camera/image_raw/compressed", "/sam2/masklets"):
        assert [stamp for name, _, stamp, _ in found if name == topic] == kept


def test_jpeg_files_are_copied_and_others_packed(tmp_path: Path) -> None:
    clip = make_clip(frames=5, ids=(1, 2))
    folder = tmp_path / "images"
    for index, frame in enumerate(clip.frames):
        write_jpeg(folder / f"{index}.jpg", frame, 90)
    turned = Image.Exif()
    turned[0x0112] = 3
    Image.fromarray(clip.frames[1]).save(folder / "1.jpg", exif=turned, quality=95)
    (folder / "2.jpg").unlink()
    Image.fromarray(clip.frames[2]).save(folder / "2.png")
    run = make_run(tmp_path, clip, open_recording(folder, fps=10))
    run = FinishedRun(run.recording, run.store, run.prompts[:2])
    bag.write(run, tmp_path / "bag")
    images = [message for topic, *_, message in read(tmp_path / "bag") if "image" in topic]
    for index in (0, 3, 4):
        assert bytes(images[index].data) == (folder / f"{index}.jpg").read_bytes()
    again = bags.read(tmp_path / "bag")
    for index, image in enumerate(run.recording.images()):
        assert np.abs(again.frames[index].astype(int) - image.pixels).mean() < 3, "turned as it was tracked"
    assert again.fps == pytest.approx(10)


def test_images_of_a_video(tmp_path: Path) -> None:
    clip = make_clip(frames=5, ids=(1, 2), fps=12.5)
    with VideoWriter(tmp_path / "clip.mp4", clip.fps) as video:
        for frame in clip.frames:
            video.write(frame)
    run = make_run(tmp_path, clip, open_recording(tmp_path / "clip.mp4"))
    bag.write(FinishedRun(run.recording, run.store, run.prompts[:2]), tmp_path / "bag")
    again = bags.read(tmp_path / "bag")
    same_masks(again, clip)
    same_frames(again, clip, tolerance=3)
    assert again.fps == pytest.approx(12.5)


def test_sqlite_bags_are_copied_message_by_message(tmp_path: Path) -> None:
    clip = make_clip()
    bags.write(clip, tmp_path / "old", masklets="/truth", storage="sqlite3")
    run = make_run(tmp_path, clip, open_recording(tmp_path / "old"))
    bag.write(run, tmp_path / "bag")
    same_frames(bags.read(tmp_path / "bag", masklets="/truth"), clip, tolerance=0)
    same_masks(bags.read(tmp_path / "bag", masklets="/truth"), clip)
    same_masks(bags.read(tmp_path / "bag", masklets="/sam2/masklets"), clip)


@pytest.mark.parametrize("opened_again", [False, True])
def test_bag_with_damaged_chunks(tmp_path: Path, opened_again: bool) -> None:
    """Their images are lost, the rest is beside the masklets, and can be read to its end. Also after a restart."""
    file, starts = write_chunks(tmp_path / "source", *pictures(6))
    damage(file, starts[2] + 600)
    blank = np.zeros((2, 12, 16), bool)
    blank[:, 3:6, 4:9] = True
    clip = Clip("six", [picture(number) for number in range(6)], (1, 2), [blank] * 6)
    run = make_run(tmp_path, clip, open_recording(tmp_path / "source"))
    recording = open_recording(tmp_path / "source") if opened_again else run.recording
    (note,) = bag.write(FinishedRun(recording, run.store, []), tmp_path / "bag")
    assert note == f"a damaged chunk of {tmp_path / 'source'} is left out of the bag"
    found = read(tmp_path / "bag")
    for topic in ("/image", "/sam2/masklets"):
        stamps = [stamp for name, _, stamp, _ in found if name == topic]
        assert stamps == [run.recording.stamps[index] for index in (0, 1, 3, 4, 5)]
    assert {time - stamp for _, time, stamp, _ in found} == {LATER}, "masklets have the times of their images"
    assert len(bags.read(tmp_path / "bag")) == 5
