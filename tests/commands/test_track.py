"""`sam2_ros track` from the command line to the files, with the default model on small clips."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from recorded_bags import IMAGE, SECOND, Recorded, raw, write_bag
from rosbags.highlevel import AnyReader
from small_disk import mounted

from sam2_ros.commands.track import main
from sam2_ros.data import bag, davis
from sam2_ros.data.bag_types import typestore
from sam2_ros.data.clip import Clip
from sam2_ros.data.video_writer import VideoWriter
from sam2_ros.recordings.pass_progress import Pace
from sam2_ros.recordings.sole_use import sole_use
from sam2_ros.recordings.track import BACKWARDS, FORWARDS

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
            status = main([str(arguments[0]), *FAST, *map(str, arguments[1:])])
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
    assert status == 0 and "prompts on /sam2/applied_prompts: 1" in output and "are replaced" in output
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


def test_label_is_printed_as_it_is(track, source: Path, tmp_path: Path) -> None:
    command = (source, "--to", 1, "--out", tmp_path / "a[", "--click", CLICK, CLICK, CLICK, CLICK)
    command = (*command, "--label", "[/]", "[red]cup[/red]", "杯", "a\x1b[31mb\nc")
    for _ in range(2):  # the second one finds everything complete
        status, output, errors = track(*command)
        assert (status, errors) == (0, "")
        for label in ("[/]", "[red]cup[/red]", "杯", "a\ufffd[31mb\ufffdc"):
            assert f" {label} 0 2 of 2 images" in output
    assert "a[ is unchanged" in output


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
        (("--click", "5,5", "--to", "9" * 18), (f"--to frame {'9' * 18}: the recording has 20 images",)),
        (("--click", "5,5", "--checkpoint", "/no.pt"), ("/no.pt",)),
        (("--click", "5,5", "--size", "33"), ("33",)),
        (("--click", "5,5", "--device", "gpu"), ("there is no device 'gpu'",)),
        (("--prompts", "/no"), ("no prompts on /no", "none")),
        (("--prompts", "no.json"), ("no.json: No such file",)),
        (("--everything", "--coverage", "2"), ("coverage is 2.0; it must be a share of the image, 0 to 1",)),
        (("--everything", "--period", "0"), ("period is 0",)),
    ],
)
def test_wrong_option_is_one_line(track, source: Path, tmp_path: Path, arguments, phrases) -> None:
    refused(track(source, "--out", tmp_path / "out", *arguments), *phrases)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--click", "3"), "argument --click: '3' is no click; expected X,Y"),
        (("--click", "3,4@x"), "argument --click: 'x' is neither the number of an image"),
        (("--click", "-5,1"), "'-5,1' begins with -, as clicks beside the object do"),
        (("--click", "3,4", "-5,1"), "'-5,1' begins with -"),
        (("--box", "-5,1,3,4"), "argument --box: '-5,1,3,4' is no box"),
        (("--box", "1,2,3"), "argument --box: '1,2,3' is no box"),
        (("--box", f"1,2,3,{'9' * 400}"), "is no box"),
        (("--click", "3,4", "--from", "9" * 400), "is neither the number of an image"),
        (("--mask", "/no.png"), "argument --mask: /no.png cannot be read"),
        (("--click", "3,4", "--label", "a", "b"), "2 labels for 1 objects"),
        (("--click", "3,4", "--everything"), "--click, --box and --mask and --everything exclude each other"),
        (("--click", "3,4", "--format", "avi"), "argument --format: invalid choice: 'avi'"),
        (("--click", "3,4", "--format", "davis", "--masklets-only"), "--masklets-only is about the bag"),
        (("--click", "3,4", "/"), "the recording comes first: track / --click X,Y"),
    ],
)
def test_wrong_form_names_the_option(track, tmp_path: Path, arguments, message: str) -> None:
    status, _, errors = track("run1", *arguments)
    assert status == 2 and message in errors.splitlines()[-1]


def test_bag_without_images_or_with_several_topics_of_them(track, clip: Clip, tmp_path: Path) -> None:
    picture = raw(clip.frames[0])
    without = write_bag(tmp_path / "without", empty={"/odom": "nav_msgs/msg/Odometry"})
    refused(track(without, "--click", "3,4", "--out", tmp_path / "out"), str(without), "image")
    two = write_bag(
        tmp_path / "two",
        Recorded("/left/image", IMAGE, SECOND, picture),
        Recorded("/right/image", IMAGE, SECOND, picture),
    )
    refused(track(two, "--click", "3,4", "--out", tmp_path / "out"), "/left/image", "/right/image", "--images TOPIC")
    assert track(two, "--images", "/right/image", "--click", CLICK, "--out", tmp_path / "out")[0] == 0


def test_damaged_messages_are_skipped_counted_and_named(track, clip: Clip, tmp_path: Path) -> None:
    messages = [
        Recorded("/camera", IMAGE, SECOND + index * SECOND // 10, raw(frame), length=200 if index in (3, 4) else None)
        for index, frame in enumerate(clip.frames[:8])
    ]
    source, out = write_bag(tmp_path / "source", *messages), tmp_path / "out"
    refused(track(source, "--click", f"{CLICK}@3", "--out", out), f"--click {CLICK}@3: image 3 is damaged")
    status, output, errors = track(source, "--click", CLICK, "--out", out)
    assert (status, errors) == (1, "") and "damaged images, skipped (of 8): 2: image 3 (" in output
    assert "1 0 6 of 6 images" in output and len(masklets_of(out / "bag")) == 6
    for index in range(8):
        messages[index] = messages[index]._replace(length=200)
    all_damaged = write_bag(tmp_path / "all", *messages)
    refused(track(all_damaged, "--click", CLICK, "--out", tmp_path / "other"), "damaged")


def test_prompts_of_a_bag_that_cannot_be_applied_are_left_out_and_named(track, source: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    assert track(source, "--click", CLICK, "30,40@4", "--to", 6, "--masklets-only", "--out", first)[0] == 0
    with AnyReader([first / "bag"], default_typestore=typestore()) as reader:
        (topic,) = [one for one in reader.connections if one.topic == "/sam2/applied_prompts"]
        prompts: list[Any] = [reader.deserialize(data, topic.msgtype) for _, _, data in reader.messages([topic])]
    images = [
        Recorded("/camera", IMAGE, SECOND + index * SECOND // 10, raw(moving_square(4).frames[index]))
        for index in range(4)
    ]
    arrays = [
        Recorded(
            "/sam2/prompts",
            topic.msgtype,
            one.header.stamp.sec * SECOND + one.header.stamp.nanosec,
            {"prompts": one.prompts},
        )
        for one in prompts
    ]
    status, output, _ = track(write_bag(tmp_path / "both", *images, *arrays), "--out", tmp_path / "out")
    assert status == 0 and "prompts on /sam2/prompts: 2" in output and "1 0 4 of 4 images" in output
    assert (
        "prompts of the bag, left out: 1: prompt 2 on /sam2/prompts: it lies outside the recording, 0.100 s" in output
    )
    late = write_bag(tmp_path / "late", *images, arrays[1])
    refused(track(late, "--out", tmp_path / "none"), "none of its 1 prompts can be applied")


def test_masks_of_a_bag_that_are_too_small_are_left_out_as_by_the_node(track, source: Path, tmp_path: Path) -> None:
    """And so is what corrects an object that never began."""
    clip = moving_square(6)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[40, 60] = True
    images = [
        Recorded("/camera", IMAGE, SECOND + index * SECOND // 10, raw(image)) for index, image in enumerate(clip.frames)
    ]
    first = tmp_path / "first"
    Image.fromarray(clip.masks[1][0]).save(tmp_path / "mask.png")
    given = ("--mask", tmp_path / "mask.png@1", "--masklets-only", "--to", 5)
    assert track(write_bag(tmp_path / "plain", *images), *given, "--out", first)[0] == 0
    with AnyReader([first / "bag"], default_typestore=typestore()) as reader:
        (topic,) = [one for one in reader.connections if one.topic == "/sam2/applied_prompts"]
        (array,) = [reader.deserialize(data, topic.msgtype) for _, _, data in reader.messages([topic])]
    small = deepcopy(array)
    pixels = np.zeros(HEIGHT * WIDTH, np.uint8)
    pixels[40 * WIDTH + 60] = 255
    assert small.prompts[0].mask.data.size == pixels.size, "mono8"
    small.prompts[0].mask.data = pixels
    small.prompts[0].object_id = 9
    arrays = [
        Recorded("/sam2/prompts", topic.msgtype, SECOND + SECOND // 10, {"prompts": one.prompts})
        for one in (small, array)
    ]
    status, output, errors = track(write_bag(tmp_path / "both", *images, *arrays), "--out", tmp_path / "out")
    assert (status, errors) == (0, "")
    assert "prompts of the bag, left out: 1: prompt 1 on /sam2/prompts: the mask has 1 pixels, too few" in output
    assert "prompts of the bag: 1 applied, 1 left out" in output
    refused(track(write_bag(tmp_path / "one", *images, arrays[0]), "--out", tmp_path / "none"), "none of its 1 prompts")


@pytest.mark.parametrize("options", [(), ("--restart",)])
def test_result_of_one_run_as_the_recording_of_another(track, source: Path, tmp_path: Path, options) -> None:
    """In its own folder, it would be deleted to begin again."""
    out = tmp_path / "out"
    assert track(source, "--click", CLICK, "--to", 2, "--out", out, "--format", "bag", "coco", "video")[0] == 0
    before = sorted(out.rglob("*"))
    for recording in (out / "bag", out / "bag/bag.mcap", out / "video.mp4", out / "coco/images"):
        result = track(recording, "--click", CLICK, "--out", out, *options)
        refused(result, f"{recording} is in the place of a result in {out}; choose another folder with --out")
    assert sorted(out.rglob("*")) == before
    assert track(out / "bag", "--click", CLICK, "--out", out / "again", *options)[0] == 0


def test_recording_that_goes_away_is_not_taken_for_damaged(track, clip: Clip, tmp_path: Path, monkeypatch) -> None:
    """It goes on when the recording is there again, with the masks of an unbroken run."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for index, image in enumerate(clip.frames):
        cv2.imwrite(str(photos / f"{index:03}.png"), image)
    command = (photos, "--click", CLICK)
    assert track(*command, "--out", tmp_path / "unbroken")[0] == 0

    def goes_away(self: Pace, *arguments: Any) -> None:
        self._wait = 0
        commit(self, *arguments)
        if arguments[2] == 8:
            photos.rename(tmp_path / "away")

    commit = Pace.commit
    monkeypatch.setattr(Pace, "commit", goes_away)
    refused(track(*command, "--out", out), "is gone, and was there", "start the same command again")
    (tmp_path / "away").rename(photos)
    monkeypatch.setattr(Pace, "commit", commit)
    assert track(*command, "--out", out)[0] == 0
    assert masklets_of(out / "bag") == masklets_of(tmp_path / "unbroken/bag")


def test_folder_of_another_run_is_kept(track, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert track(source, "--click", CLICK, "--to", 3, "--out", out)[0] == 0
    before = masklets_of(out / "bag")
    refused(track(source, "--click", "23,40", "--to", 3, "--out", out), "other prompts", "--restart", "--out")
    refused(track(source, "--click", CLICK, "--to", 4, "--out", out), "other images", "--restart")
    assert masklets_of(out / "bag") == before
    assert track(source, "--click", "23,40", "--to", 3, "--out", out, "--restart")[0] == 0
    assert masklets_of(out / "bag") != before


def test_folder_in_which_another_process_works_is_left_to_it(track, source: Path, tmp_path: Path) -> None:
    """Even `--restart` would take masklets and results away from under its hands."""
    command = (source, "--click", CLICK, "--to", 1, "--out", tmp_path / "out")
    assert track(*command)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    with sole_use(tmp_path / "out"):
        for options in ((), ("--restart",), ("--format", "davis")):
            refused(track(*command, *options), f"{tmp_path / 'out'}: another process is working on it")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    assert track(*command, "--restart")[0] == 0


def test_files_of_others_are_kept(track, source: Path, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag/precious.txt").write_text("mine")
    for restart in ((), ("--restart",)):
        refused(
            track(source, "--click", CLICK, "--out", tmp_path, *restart),
            "was not made by this run",
            str(tmp_path / "bag"),
        )
    assert (tmp_path / "bag/precious.txt").read_text() == "mine"
    refused(track(source, "--click", CLICK, "--out", source), "is the recording itself")


def test_folder_that_cannot_be_written(track, source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(track(source, "--click", CLICK, "--out", tmp_path / "file"), "file", "choose another folder with --out")
    refused(
        track(source, "--click", CLICK, "--out", tmp_path / "file/below"), "file", "choose another folder with --out"
    )
    with mounted(tmp_path / "disk", "ro,size=1m") as disk:
        refused(track(source, "--click", CLICK, "--out", disk / "out"), str(disk), "choose another folder with --out")
        refused(track(source, "--click", CLICK, "--out", disk), str(disk), "choose another folder")


def test_full_disk_loses_nothing(track, source: Path, tmp_path: Path) -> None:
    """Whether it is full while objects are tracked, or while the bag or the contact sheet is written."""
    assert track(source, "--click", CLICK, "--out", tmp_path / "unbroken")[0] == 0
    expected = masklets_of(tmp_path / "unbroken/bag")
    for kilobytes, what in ((160, "masklets.db"), (600, "bag"), (1200, "sheet.jpg")):
        with mounted(tmp_path / f"disk{kilobytes}", f"size={kilobytes}k") as disk:
            result = track(source, "--click", CLICK, "--out", disk / "out")
            refused(result, f"{disk / 'out' / what}: the disk is full; make room and start the same command again")
            os.system(f"mount -o remount,size=64m {disk}")
            assert track(source, "--click", CLICK, "--out", disk / "out")[0] == 0
            assert masklets_of(disk / "out/bag") == expected


# ------------------------------------------------------------------------------------------------ processes that end

PROGRAM = """
import faulthandler, os, sys
from functools import partial
from sam2_ros.commands import tracking_run  # not in each process again
from sam2_ros.commands.track import main
from sam2_ros.recordings import run
run.track = partial(run.track, commit_period=0)  # after each image, so that any moment may be between
print("ready", flush=True)
for line in sys.stdin:  # each in a process of its own, which need not import everything again
    if (child := os.fork()) == 0:
        faulthandler.dump_traceback_later(120, exit=True)  # it hangs
        sys.exit(main(line.split()))
    print("started", child, flush=True)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Processes:
    """Runs the command in processes that can be killed."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.output: list[str] = []
        """What the last process has printed."""
        self._wait("ready")

    def run(
        self,
        command: Sequence[object],
        end: Callable[[], bool] | None = None,
        wait: float = 0.0,
        number: int = signal.SIGKILL,
    ) -> int:
        """Run the command, and send it a signal some seconds after `end` holds.

        Returns the exit status, or minus the signal.
        """
        assert self._server.stdin is not None
        print(*command, file=self._server.stdin, flush=True)
        child = int(self._wait("started"))
        if end is not None:
            with suppress(ProcessLookupError):  # it has ended
                while not end():
                    os.kill(child, 0)
                    time.sleep(0.002)
                time.sleep(wait)
                os.kill(child, number)
        return int(self._wait("ended"))

    def close(self) -> None:
        self._server.communicate()
        assert self._server.returncode == 0

    def _wait(self, word: str) -> str:
        assert self._server.stdout is not None
        self.output = []
        for line in self._server.stdout:
            if line.startswith(word):
                return line.removeprefix(word)
            self.output.append(line)
        raise AssertionError(f"the process has ended before {word!r}")


@pytest.fixture
def processes() -> Iterator[Processes]:
    processes = Processes()
    yield processes
    processes.close()


def images_done(file: Path) -> int:
    """How many images the passes of the run below have processed. Leaves a file of a killed run as it is."""
    if not file.exists():
        return 0
    with (
        closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database,
        suppress(sqlite3.OperationalError),  # no tables yet
    ):
        passes = dict(database.execute("SELECT name, next_frame FROM passes"))
        return passes.get(FORWARDS, 0) + (MIDDLE - 1 - passes[BACKWARDS] if BACKWARDS in passes else 0)
    return 0


LENGTH, MIDDLE = 30, 20
"""Images, and the one on which the second object is prompted."""


def test_killed_at_ten_random_moments_it_gives_the_same_bytes(processes: Processes, tmp_path: Path) -> None:
    """While it starts, in the passes forwards and backwards, and while the bag is written."""
    bag.write(moving_square(LENGTH), tmp_path / "source", masklets="/truth")
    out, chance = tmp_path / "out", random.Random(0)

    def command(folder: Path) -> list[object]:
        return [tmp_path / "source", *FAST, "--click", CLICK, f"60,40@{MIDDLE}", "--out", folder]

    def is_writing() -> bool:
        return (out / ".unfinished").exists()

    def has_done(images: int) -> Callable[[], bool]:
        return lambda: images_done(out / "masklets.db") >= images

    assert processes.run(command(tmp_path / "unbroken")) == 0
    expected = masklets_of(tmp_path / "unbroken/bag")
    assert len(expected) == LENGTH
    numbers = sorted(chance.sample(range(1, LENGTH + MIDDLE), 8))
    moments = [lambda: True, *map(has_done, numbers), is_writing]
    while moments:
        status = processes.run(command(out), moments[0], wait=chance.uniform(0, 0.05))
        if status == -signal.SIGKILL:
            moments.pop(0)
        else:  # it came to its end before
            assert status == 0 and masklets_of(out / "bag") == expected
            shutil.rmtree(out)
    assert processes.run(command(out)) == 0
    assert masklets_of(out / "bag") == expected
    assert {path.name for path in out.iterdir()} == {"bag", "sheet.jpg", "masklets.db"}


def test_interrupted_it_says_how_to_go_on(processes: Processes, tmp_path: Path) -> None:
    bag.write(moving_square(200), tmp_path / "source", masklets="/truth")
    command = [tmp_path / "source", *FAST, "--click", CLICK, "--out", tmp_path / "out"]
    file = tmp_path / "out/masklets.db"
    status = processes.run(command, lambda: images_done(file) > 0, number=signal.SIGINT)
    assert status == 130 and processes.output[-1] == "interrupted; the same command goes on where it was\n"
    assert processes.run(command) == 0
    assert len(masklets_of(tmp_path / "out/bag")) == 200
