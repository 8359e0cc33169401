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
from rich.console import Console

from sam2_ros.data.clip import Clip
from sam2_ros.data.video import VideoReader, VideoWriter
from sam2_ros.ros.demo import DemoError, Show, judge, parser, run
from sam2_ros.ros.graph import free_domain
from sam2_ros.ros.recording import Answer, Recording, read_recording
from sam2_ros.tracking.masklet import Frame, Masklet

TIMEOUT = 300  # s; about 15 on an idle machine


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sam2_ros.ros.demo", *map(str, arguments)]


def demo(*arguments: object) -> tuple[int, str]:
    """Exit status and what was printed."""
    environment = {**os.environ, "COLUMNS": "160"}
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=TIMEOUT, env=environment)
    return done.returncode, done.stdout + done.stderr


def frames_of(video: Path) -> list[np.ndarray]:
    with VideoReader(video) as reader:
        return list(reader)


def test_follows_the_car(tmp_path: Path) -> None:
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


def test_fails_when_the_object_is_not_followed(tmp_path: Path, checkpoint: Path) -> None:
    status, printed = demo("--frames", 8, "--out", tmp_path, "--checkpoint", checkpoint)
    assert status == 1, printed
    assert "and should be at least 60" in printed
    assert "Traceback" not in printed
    assert (tmp_path / "overlay.mp4").is_file() and (tmp_path / "contact-sheet.png").is_file()


def test_says_at_once_that_weights_are_missing(tmp_path: Path) -> None:
    status, printed = demo("--frames", 3, "--out", tmp_path, "--checkpoint", "/no/weights.pt")
    assert status == 1
    assert "/no/weights.pt" in printed and "Traceback" not in printed


def test_follows_a_click_in_any_video(tmp_path: Path, checkpoint: Path) -> None:
    video, out = tmp_path / "clip.mp4", tmp_path / "out"
    with VideoWriter(video, 12) as writer:
        for index in range(6):
            image = np.full((90, 160, 3), 90, np.uint8)
            image[30:60, 20 + 5 * index : 50 + 5 * index] = (240, 200, 40)
            writer.write(image)

    for words, reason in {
        ("--video", str(video)): "160x90",  # without a click it asks for one
        ("--video", str(video), "--click", "300,20"): "outside",
        ("--video", str(tmp_path / "no.mp4"), "--click", "1,1"): r"no\.mp4",
        ("--click", "1,1"): "--video",
    }.items():
        with pytest.raises((DemoError, FileNotFoundError), match=reason):
            run(parser().parse_args([*words, "--out", str(out)]), Console())

    how = ("--click", "35,45", "--label", "block", "--checkpoint", checkpoint)
    status, printed = demo("--video", video, "--out", out, *how)
    assert status == 0, printed
    assert "6, 6" in printed and "J&F" not in printed, "nobody knows the truth"
    assert len(frames_of(out / "overlay.mp4")) == 6
    recording = read_recording(out / "bag")
    assert {frame.masklet(1).label for stamp, frame in recording.frames.items() if frame.masklets} == {"block"}


def test_ends_what_it_started(tmp_path: Path, checkpoint: Path) -> None:
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


def test_a_domain_in_use_is_not_taken(ros_domain: int) -> None:
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("somebody", context=context)
    try:
        assert ros_domain not in {free_domain() for _ in range(300)}
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


# Judging a recording

SIZE = (20, 30)


def square(x: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[5:15, x : x + 10] = True
    return mask


def show(frames: int = 6) -> Show:
    truth = [np.stack((square(2 + index), square(18))) for index in range(frames)]
    clip = Clip("scene", [np.zeros((*SIZE, 3), np.uint8)] * frames, (1, 2), truth)
    return Show(Path("nowhere"), frames, 24.0, (7, 10), "car", clip)


def recording(frames: int = 6, object_id: int = 3, present: bool = True) -> Recording:
    """The object is pointed out on image 0, which the node had answered already, and answered from image 1 on."""
    result = Recording()
    for index in range(frames):
        stamp = 1000 + 10**6 * index
        result.images[stamp] = np.zeros(0, np.uint8)
        mask = square(2 + index) if present else np.zeros(SIZE, bool)
        found = (Masklet(object_id, "car", present, float(present), 1.0, mask),) if index else ()
        result.frames[stamp] = Frame(stamp, *SIZE, found)
        result.frames_received[stamp] = stamp + 40_000_000
    result.prompts = [(1000, 0)]
    result.answers = [Answer(1000, 5_000_000, object_id, True, "")]
    return result


def test_judges_the_object_that_was_clicked() -> None:
    result = judge(recording(), show())
    assert (result.total.objects, result.total.frames, result.total.j_and_f) == (1, 4, 1)
    assert (result.prompted, result.object_id, result.answer_ms) == (0, 3, 5)
    assert result.recording.latencies == pytest.approx([40] * 6)


def test_an_image_without_the_object_counts_against_it() -> None:
    late = recording()
    late.frames[1_001_000] = Frame(1_001_000, *SIZE, ())
    assert judge(late, show()).total.j == pytest.approx(3 / 4)


def without(stamp: int, part: str) -> Recording:
    one = recording()
    getattr(one, part).pop(stamp)
    return one


def answered(*answers: Answer) -> Recording:
    one = recording()
    one.answers = list(answers)
    return one


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (without(3_001_000, "images"), "5 images of 6"),
        (without(3_001_000, "frames"), "no masklets came for 1 of 6 images"),
        (answered(), "nobody answered"),
        (answered(Answer(1000, 0, 0, False, "too dark")), "refused: too dark"),
        (recording(present=False), "masks are missing"),
    ],
)
def test_says_what_is_missing(bad: Recording, reason: str) -> None:
    with pytest.raises(DemoError, match=reason):
        judge(bad, show())
