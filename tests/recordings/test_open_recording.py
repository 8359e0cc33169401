"""Whatever a user names is opened, or refused with what to do."""

import shutil

import numpy as np
import pytest
from PIL import Image
from recorded_bags import IMAGE, Recorded, raw, write_bag
from video_files import write_video

from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.folder_recording import FolderRecording
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.video_recording import VideoRecording

PICTURE = np.zeros((6, 8, 3), np.uint8)


def bag_of(path, *topics, storage="mcap"):
    return write_bag(path, *(Recorded(topic, IMAGE, 10**9, raw(PICTURE)) for topic in topics), storage=storage)


def picture(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PICTURE).save(file)
    return file


def test_kinds(tmp_path):
    bag = bag_of(tmp_path / "bag", "/left", "/right")
    recording = open_recording(bag, images="/left")
    assert isinstance(recording, BagRecording) and recording.topic == "/left"
    assert isinstance(open_recording(str(bag / "bag.mcap"), images="/right"), BagRecording)
    folder = picture(tmp_path / "folder/1.png").parent
    recording = open_recording(folder, fps=5)
    assert isinstance(recording, FolderRecording) and recording.fps == 5
    recording = open_recording(write_video(tmp_path / "video.mp4", times=range(3)), fps=7)
    assert isinstance(recording, VideoRecording) and recording.fps == 7


def test_options_that_do_not_fit(tmp_path):
    bag, folder = bag_of(tmp_path / "bag", "/image"), picture(tmp_path / "folder/1.png").parent
    with pytest.raises(ValueError, match="is a bag, whose images have stamps; --fps is for"):
        open_recording(bag, fps=10)
    with pytest.raises(ValueError, match="is no bag; --images names a topic of a bag"):
        open_recording(folder, images="/image")
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be positive"):
            open_recording(folder, fps=fps)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_bags_without_metadata(tmp_path, storage):
    """A complete file is opened; for an interrupted recording, the command that completes it is named."""
    bag = bag_of(tmp_path / "run", "/image", storage=storage)
    (bag / "metadata.yaml").unlink()
    assert len(open_recording(bag)) == 1
    (file,) = bag.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    command = "sam2_ros recover" if storage == "mcap" else "ros2 bag reindex"
    with pytest.raises(ClipError, match=f"if the recording was interrupted, `{command} {file}` completes it"):
        open_recording(bag)
    shutil.copy(file, bag / f"second{file.suffix}")
    with pytest.raises(
        ClipError, match=f"interrupted, `{command} {bag}` completes it; if its 2 files are bags of their"
    ):
        open_recording(bag)


def test_folders_without_images_suggest_what_they_hold(tmp_path):
    with pytest.raises(ClipError, match=r"contains no images \([^)]*\)$"):
        open_recording(tmp_path)
    for number in range(5):
        picture(tmp_path / f"davis/JPEGImages/480p/clip{number}/00000.jpg")
    with pytest.raises(
        ClipError, match=r"but folders of images: .*/clip0, .*/clip1, .*/clip2 \.\.\.; give one of them"
    ):
        open_recording(tmp_path / "davis")
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos/walk.mp4", times=range(2))
    with pytest.raises(ClipError, match=r"but videos: .*/videos/walk\.mp4; give one of them"):
        open_recording(tmp_path / "videos")
    for name in ("monday", "tuesday"):
        bag_of(tmp_path / "bags" / name, "/image")
    with pytest.raises(ClipError, match=r"but bags: .*/bags/monday, .*/bags/tuesday; give one of them"):
        open_recording(tmp_path / "bags")


def test_files_of_other_kinds(tmp_path):
    with pytest.raises(ClipError, match="there is no such file or folder"):
        open_recording(tmp_path / "nothing")
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0")
    with pytest.raises(ClipError, match=r"is a bag of ROS 1; `rosbags-convert --src .*old\.bag --dst .*old` converts"):
        open_recording(tmp_path / "old.bag")
    bag = bag_of(tmp_path / "run", "/image")
    with pytest.raises(ClipError, match="is a file of a bag; give its folder"):
        open_recording(bag / "metadata.yaml")
