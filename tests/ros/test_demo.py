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
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

from sam2_ros.data.clip import Clip
from sam2_ros.data.video import VideoReader, VideoWriter
from sam2_ros.ros.demo import DemoError, Show, judge, named, parser, run
from sam2_ros.ros.graph import free_domain
from sam2_ros.ros.recording import Answer, Recording, read_recording
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Click, Prompt

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


BLOCKS = ((240, 200, 40), (40, 90, 240))  # colours of two, which move apart


def block(number: int, index: int) -> tuple[slice, slice]:
    """Where a block is on an image of 90 x 160 pixels: rows, columns."""
    x = (20 + 5 * index, 100 + 3 * index)[number]
    return slice(30, 60), slice(x, x + 30)


def blocks(index: int) -> np.ndarray:
    image = np.full((90, 160, 3), 90, np.uint8)
    for number, colour in enumerate(BLOCKS):
        image[block(number, index)] = colour
    return image


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 12) as writer:
        for index in range(6):
            writer.write(blocks(index))
    return path


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--video", "VIDEO"), "160x90"),  # without a click it asks for one
        (("--video", "VIDEO", "--click", "30,40", "300,20"), r"click 300,20: .*outside"),
        (("--video", "VIDEO", "--box", "200,20,10,10"), "outside"),
        (("--video", "VIDEO", "--mask", "MASK"), "mask of 4 x 4 pixels"),
        (("--video", "VIDEO", "--click", "30,40", "--label", "cup", "hand"), "2 labels for 1 objects"),
        (("--video", "VIDEO", "--click", "30,40", "--images", "/left"), "a topic of a bag"),
        (("--video", "no.mp4", "--click", "1,1"), r"no\.mp4"),
        (("--click", "1,1"), "--video"),
    ],
)
def test_says_what_cannot_be_pointed_at_before_it_begins(tmp_path: Path, video: Path, words, reason: str) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((4, 4), 255, np.uint8))
    files = {"VIDEO": str(video), "MASK": str(tmp_path / "mask.png")}
    with pytest.raises((DemoError, FileNotFoundError), match=reason):
        run(parser().parse_args([*(files.get(word, word) for word in words), "--out", str(tmp_path)]), Console())
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("words", [("--click", "3"), ("--click", "-3,4"), ("--box", "1,2,3"), ("--mask", "/no.png")])
def test_a_prompt_that_is_none_is_named(words: tuple[str, str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(words)
    assert words[0] in capsys.readouterr().err


def test_reads_prompts_of_any_kind_in_their_order(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), np.eye(4, dtype=np.uint8))
    click, box = ("--click", "640,360", "100.5,200+110,210-90,190"), ("--box", "10,20,30,40-50,60")
    prompts = parser().parse_args([*click, *box, "--mask", str(tmp_path / "mask.png"), "--click", "1,2"]).prompts
    assert [named(prompt) for prompt in prompts] == [
        "click 640,360",
        "click 100.5,200 and click 110,210 and negative click 90,190",
        "box 10,20,30,40 and negative click 50,60",
        "mask",
        "click 1,2",
    ]
    np.testing.assert_array_equal(prompts[3].mask, np.eye(4, dtype=bool))


def test_follows_a_click_in_any_video(tmp_path: Path, checkpoint: Path, video: Path) -> None:
    out = tmp_path / "out"
    how = ("--click", "35,45", "--label", "block", "--checkpoint", checkpoint)
    status, printed = demo("--video", video, "--out", out, *how)
    assert status == 0, printed
    assert "6, 6" in printed and "J&F" not in printed, "nobody knows the truth"
    assert len(frames_of(out / "overlay.mp4")) == 6
    recording = read_recording(out / "bag")
    assert {frame.masklet(1).label for stamp, frame in recording.frames.items() if frame.masklets} == {"block"}


def test_follows_several_things_in_a_bag(tmp_path: Path) -> None:
    """A click, a box with a negative click, and a mask; each is what it was called, and on what it was shown."""
    with (writer := Writer(tmp_path / "drive", version=9)):
        types = get_typestore(Stores.ROS2_JAZZY)
        kind, stamps = types.types["sensor_msgs/msg/Image"], types.types["builtin_interfaces/msg/Time"]
        header = types.types["std_msgs/msg/Header"]
        topics = [writer.add_connection(topic, kind.__msgtype__, typestore=types) for topic in ("/left", "/right")]
        for index in range(6):
            image = blocks(index)
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
    assert [(one.object_id, one.label) for one in last.masklets] == [(1, "yellow block"), (2, "blue"), (3, "")]
    for object_id, number in ((1, 0), (2, 1), (3, 1)):
        truth = np.zeros((90, 160), bool)
        truth[block(number, 5)] = True
        found = last.masklet(object_id).mask
        assert (found & truth).sum() / (found | truth).sum() > 0.7, f"object {object_id}"
    first = frames_of(tmp_path / "out/overlay.mp4")[0]
    assert (first[45, 35] > 200).all() and first[76:85, 31:40].min() < 60, "where it was clicked is shown"


def test_stops_at_once_where_a_prompt_is_refused(tmp_path: Path, checkpoint: Path, video: Path) -> None:
    how = ("--click", *(f"{x},45" for x in range(20, 37)), "--checkpoint", checkpoint)  # 17, and 16 are followed
    status, printed = demo("--video", video, "--out", tmp_path / "out", *how)
    assert status == 1 and "object 17 was refused" in printed and "Traceback" not in printed


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
    return Show(Path("nowhere"), frames, 24.0, (Prompt(clicks=(Click(7, 10),), label="car"),), clip)


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
    assert (result.prompted, result.answers[0].object_id, result.answer_ms) == (0, 3, 5)
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
