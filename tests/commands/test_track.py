"""`sam2_ros track` from the command line to the files, with the default model on small clips."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from sam2_ros.commands.track import main
from sam2_ros.data import bag, davis
from sam2_ros.data.bag_types import typestore
from sam2_ros.data.clip import Clip
from sam2_ros.data.video_writer import VideoWriter

pytestmark = pytest.mark.slow

FRAMES, HEIGHT, WIDTH = 20, 96, 128
FAST = ("--size", "128", "--device", "cpu")
CLICK = "22,40"
"""On the square, on the first image."""


def moving_square(frames: int = FRAMES) -> Clip:
    """A red square that moves to the right over a smooth picture, two pixels an image."""
    rng = np.random.default_rng(1)
    picture = cv2.resize(rng.integers(40, 140, (4, 5, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    images, masks = [], []
    for index in range(frames):
        mask = np.zeros((1, HEIGHT, WIDTH), bool)
        mask[0, 26:58, 8 + 2 * index : 40 + 2 * index] = True
        image = picture.copy()
        image[mask[0]] = (230, 40, 30)
        images.append(image)
        masks.append(mask)
    return Clip("square", images, (1,), masks, 10.0)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return moving_square()


@pytest.fixture(scope="module")
def source(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of the clip, with raw images on /camera/image_raw and the truth."""
    folder = tmp_path_factory.mktemp("source") / "run1"
    bag.write(clip, folder, masklets="/truth")
    return folder


@pytest.fixture
def track(capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: exit status, output, and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([*map(str, arguments), *FAST])
        except SystemExit as error:  # argparse
            status = int(error.code or 0)
        printed = capsys.readouterr()
        return status, " ".join(printed.out.split()), printed.err

    return run


def masklets_of(folder: Path) -> list[tuple[int, bytes]]:
    """Time and bytes of every MaskletArray of a bag."""
    with AnyReader([folder], default_typestore=typestore()) as reader:
        connections = [one for one in reader.connections if one.topic == "/sam2/masklets"]
        return [(stamp, bytes(data)) for _, stamp, data in reader.messages(connections)]


def ious(folder: Path, clip: Clip, topic: str = "/camera/image_raw") -> list[float]:
    """IoU of the first object with the truth, on each image."""
    answers = bag.read(folder, topic, "/sam2/masklets")
    pairs = zip(answers.masks, clip.masks, strict=True)
    return [float((one[0] & truth[0]).sum() / (one[0] | truth[0]).sum()) for one, truth in pairs]


def refused(result: tuple[int, str, str], *phrases: str) -> None:
    """The command has failed with one line that holds these phrases."""
    status, _, errors = result
    assert status == 2 and errors.startswith("track: ") and errors.count("\n") == 1, errors
    for phrase in phrases:
        assert phrase in errors, errors


# ------------------------------------------------------------------------------------------------------ what it does


def test_click_in_the_middle_of_a_bag_is_followed_to_both_ends(track, clip: Clip, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "tracked"
    status, output, errors = track(source, "--click", "40,40@9", "--label", "square", "--out", out)
    assert (status, errors) == (0, "")
    assert "1 square 9 20 of 20 images" in output and str(out / "bag") in output
    assert (out / "sheet.jpg").is_file() and (out / "masklets.db").is_file()
    assert min(ious(out / "bag", clip)) > 0.7
    with AnyReader([out / "bag"], default_typestore=typestore()) as reader:
        counts = {one.topic: one.msgcount for one in reader.connections}
    expected = {"/camera/image_raw": FRAMES, "/truth": FRAMES, "/sam2/masklets": FRAMES, "/sam2/applied_prompts": 1}
    assert counts == expected


def test_again_without_prompts_it_is_what_the_bag_says(track, clip: Clip, source: Path, tmp_path: Path) -> None:
    """Prompts of a bag are applied as the node did, forwards only."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert track(source, "--click", CLICK, "--no-backward", "--out", first)[0] == 0
    status, output, _ = track(first / "bag", "--out", second)
    assert status == 0 and "1 prompts on /sam2/applied_prompts" in output and "are replaced" in output
    assert masklets_of(second / "bag") == masklets_of(first / "bag")


def test_video_in_all_formats(track, clip: Clip, tmp_path: Path) -> None:
    video, out = tmp_path / "clip.mp4", tmp_path / "out"
    with VideoWriter(video, clip.fps) as writer:
        for frame in clip.frames:
            writer.write(frame)
    formats = ("bag", "davis", "sav", "coco", "video")
    status, _, errors = track(video, "--click", CLICK, "--format", *formats, "--out", out)
    assert (status, errors) == (0, "")
    places = {"bag", "davis", "sav", "coco", "video.mp4", "sheet.jpg", "masklets.db"}
    assert {path.name for path in out.iterdir()} == places
    assert min(ious(out / "bag", clip, "/camera/image_raw/compressed")) > 0.7
    (answers,) = davis.clips(out / "davis")
    assert len(answers) == FRAMES and answers.object_ids == (1,)


def test_prompts_file_and_stretch(track, source: Path, tmp_path: Path) -> None:
    prompts = [
        {"frame": 9, "object_id": 3, "label": "square", "clicks": [[40, 40]]},
        {"time": 1.1, "object_id": 3, "clicks": [[90, 80, False]]},
    ]
    (tmp_path / "prompts.json").write_text(json.dumps(prompts))
    arguments = ("--prompts", tmp_path / "prompts.json", "--from", 5, "--to", "1.5s", "--masklets-only")
    status, output, _ = track(source, *arguments, "--out", tmp_path / "out")
    assert status == 0 and "3 square 9 11 of 11 images" in output
    assert len(masklets_of(tmp_path / "out/bag")) == 11


def test_everything(track, source: Path, tmp_path: Path) -> None:
    status, output, errors = track(source, "--everything", "--to", 5, "--format", "coco", "--out", tmp_path / "out")
    assert (status, errors) == (0, "")
    found = json.loads(next((tmp_path / "out/coco").glob("*.json")).read_text())
    assert {annotation["track_id"] for annotation in found["annotations"]} and "of 6 images" in output


def test_second_run_writes_only_what_is_missing(track, source: Path, tmp_path: Path) -> None:
    command = (source, "--click", CLICK, "--to", 5, "--out", tmp_path / "out")
    assert track(*command)[0] == 0
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.mcap")}
    status, output, _ = track(*command)
    assert status == 0 and "complete already" in output
    status, output, _ = track(*command, "--format", "bag", "davis")
    assert status == 0 and "complete already" not in output and (tmp_path / "out/davis").is_dir()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.mcap")} == times


# ---------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        ((), ("what to follow?", "(128 x 96 pixels)", "--everything")),
        (("--click", "900,20"), ("--click 900,20: ", "outside the image of 128 x 96 pixels")),
        (("--click", "5,5@99s"), ("--click 5,5@99s: the recording is 2.0 s long",)),
        (("--click", "5,5@20"), ("--click 5,5@20: the recording has 20 images, 0 to 19",)),
        (("--click", "5,5", "--from", "1s", "--to", "3"), ("--to frame 3 is before --from 1 s",)),
        (("--click", "5,5", "--to", "9s"), ("--to 9 s: the recording is 2.0 s long",)),
        (("--click", "5,5", "--images", "/no"), ("/no", "/camera/image_raw")),
        (("--click", "5,5", "--fps", "5"), ("is a bag",)),
        (("--click", "5,5", "--checkpoint", "/no.pt"), ("/no.pt",)),
        (("--click", "5,5", "--size", "33"), ("33",)),
        (("--click", "5,5", "--device", "gpu"), ("there is no device 'gpu'",)),
        (("--prompts", "/no"), ("no prompts on /no", "none")),
        (("--prompts", "no.json"), ("no.json: No such file",)),
    ],
)
def test_wrong_option_is_one_line(track, source: Path, tmp_path: Path, arguments, phrases) -> None:
    words = list(arguments)
    result = track(source, "--out", tmp_path / "out", *words) if "--size" not in words and "--device" not in words else None
    if result is None:  # FAST comes after them, and would win
        completed = subprocess.run(
            [sys.executable, "-m", "sam2_ros", "track", source, "--out", tmp_path / "out", *words],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        result = completed.returncode, completed.stdout, completed.stderr
    refused(result, *phrases)
    assert not (tmp_path / "out").exists()
