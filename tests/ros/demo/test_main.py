"""The demo: the real graph in processes of its own, on short scenes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from block_video import block, block_image, write_block_video
from rich.console import Console
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

from sam2_ros.data.video_reader import VideoReader
from sam2_ros.ros.demo.__main__ import run
from sam2_ros.ros.demo.options import parser
from sam2_ros.ros.recording import read_recording

pytestmark = pytest.mark.slow

TIMEOUT = 300  # s; about 15 on an idle machine


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sam2_ros.ros.demo", *map(str, arguments)]


def demo(*arguments: object) -> tuple[int, str]:
    """Exit status and output."""
    environment = {**os.environ, "COLUMNS": "160"}
    completed = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=TIMEOUT, env=environment)
    return completed.returncode, completed.stdout + completed.stderr


def frames_of(video: Path) -> list[np.ndarray]:
    with VideoReader(video) as reader:
        return list(reader)


def test_tracks_the_car(tmp_path: Path) -> None:
    status, printed = demo("--frames", 30, "--out", tmp_path)
    assert status == 0, printed
    assert "30, 30" in printed
    assert float(re.search(r"J&F +([\d.]+)", printed)[1]) >= 60

    recording = read_recording(tmp_path / "bag")
    assert len(recording.images) == 30
    assert recording.frames.keys() == recording.images.keys()
    assert len(recording.prompts) == 1
    (answer,) = recording.answers
    assert (answer.accepted, answer.object_id, answer.stamp) == (True, 1, min(recording.images))
    assert (recording.latencies > 0).all()

    frames = frames_of(tmp_path / "overlay.mp4")
    assert len(frames) == 30 and frames[0].shape == (480, 640, 3)
    last = max(recording.images)
    car = recording.frames[last].masklet(1)
    assert car.label == "red car"
    drawn = np.abs(frames[-1].astype(int) - recording.image(last)).sum(2)
    assert drawn[car.mask].mean() > 5 * drawn[~car.mask].mean()
    assert cv2.imread(str(tmp_path / "contact-sheet.png")).shape[1] == 1280


def test_fails_when_the_object_is_not_tracked(tmp_path: Path, checkpoint: Path) -> None:
    status, printed = demo("--frames", 8, "--out", tmp_path, "--checkpoint", checkpoint)
    assert status == 1, printed
    assert "and should be at least 60" in printed
    assert "Traceback" not in printed
    assert (tmp_path / "overlay.mp4").is_file() and (tmp_path / "contact-sheet.png").is_file()


def test_missing_weights_fail_immediately(tmp_path: Path) -> None:
    status, printed = demo("--frames", 3, "--out", tmp_path, "--checkpoint", "/no/weights.pt")
    assert status == 1
    assert "/no/weights.pt" in printed and "Traceback" not in printed


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_block_video(tmp_path / "clip.mp4")


def test_tracks_a_click_in_any_video(tmp_path: Path, checkpoint: Path, video: Path) -> None:
    out = tmp_path / "out"
    how = ("--click", "35,45", "--label", "block", "--checkpoint", checkpoint)
    status, printed = demo("--video", video, "--out", out, *how)
    assert status == 0, printed
    assert "6, 6" in printed and "J&F" not in printed, "there is no ground truth"
    assert len(frames_of(out / "overlay.mp4")) == 6
    recording = read_recording(out / "bag")
    assert {frame.masklet(1).label for stamp, frame in recording.frames.items() if frame.masklets} == {"block"}


def test_tracks_several_objects_in_a_bag(tmp_path: Path) -> None:
    """A click, a box with a negative click, and a mask keep their labels and their objects."""
    with (writer := Writer(tmp_path / "drive", version=9)):
        types = get_typestore(Stores.ROS2_JAZZY)
        kind, stamps = types.types["sensor_msgs/msg/Image"], types.types["builtin_interfaces/msg/Time"]
        header = types.types["std_msgs/msg/Header"]
        topics = [writer.add_connection(topic, kind.__msgtype__, typestore=types) for topic in ("/left", "/right")]
        for index in range(6):
            image = block_image(index)
            for topic in topics:
                message = kind(header(stamps(100, index * 10**8), ""), 90, 160, "rgb8", 0, 480, image.ravel())
                writer.write(topic, 10**11 + index * 10**8, types.serialize_cdr(message, kind.__msgtype__))
    with pytest.raises(ValueError, match="/left, /right"):
        run(parser().parse_args(["--video", str(tmp_path / "drive"), "--click", "35,45"]), Console())

    mask = np.zeros((90, 160), np.uint8)
    mask[block(1, 0)] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    how = ("--click", "35,45-35,80", "--box", "100,30,30,30", "--mask", tmp_path / "mask.png", "--images", "/left")
    labels = ("--label", "yellow block", "blue")
    status, printed = demo("--video", tmp_path / "drive", "--out", tmp_path / "out", *how, *labels)
    assert status == 0, printed
    assert "3 prompts" in printed and "object 1 (yellow block)" in printed and "object 3 " in printed
    recording = read_recording(tmp_path / "out/bag")
    assert [(answer.object_id, answer.accepted) for answer in recording.answers] == [(1, True), (2, True), (3, True)]
    assert {answer.stamp for answer in recording.answers} == {min(recording.images)}
    last = recording.frames[max(recording.images)]
    assert [(masklet.object_id, masklet.label) for masklet in last.masklets] == [
        (1, "yellow block"),
        (2, "blue"),
        (3, ""),
    ]
    for object_id, number in ((1, 0), (2, 1), (3, 1)):
        truth = np.zeros((90, 160), bool)
        truth[block(number, 5)] = True
        mask = last.masklet(object_id).mask
        assert (mask & truth).sum() / (mask | truth).sum() > 0.7, f"object {object_id}"
    first = frames_of(tmp_path / "out/overlay.mp4")[0]
    assert (first[45, 35] > 200).all() and first[76:85, 31:40].min() < 60, "clicks are drawn"


def test_refused_prompt_stops_the_demo(tmp_path: Path, checkpoint: Path, video: Path) -> None:
    how = ("--click", *(f"{x},45" for x in range(20, 37)), "--checkpoint", checkpoint)  # 17, where 16 can be tracked
    status, printed = demo("--video", video, "--out", tmp_path / "out", *how)
    assert status == 1 and "object 17 was refused" in printed and "Traceback" not in printed


def test_sigint_ends_all_processes(tmp_path: Path, checkpoint: Path) -> None:
    started = subprocess.Popen(
        command("--frames", 200, "--out", tmp_path, "--checkpoint", checkpoint),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        log = tmp_path / "logs/camera.log"
        deadline = time.monotonic() + TIMEOUT
        while not (log.is_file() and "Playing" in log.read_text()):
            assert started.poll() is None, started.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        assert len(children) >= 3
        started.send_signal(signal.SIGINT)
        assert started.wait(60) == 130
        assert "interrupted" in started.stdout.read()
        assert not [child for child in children if Path(f"/proc/{child}").exists()]
    finally:
        started.kill()
        started.wait()
