"""Objects that outlive the node."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import node_log
import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from robot import BOX, TIMEOUT, Graph, Robot, header_of
from sensor_msgs.msg import RegionOfInterest
from std_srvs.srv import Trigger
from stream_parts import WrittenLog

from sam2_ros import msg, srv
from sam2_ros.ros.images import to_message
from sam2_ros.ros.object_keeper import ObjectKeeper, resume_path
from sam2_ros.ros.resume_file import KeptObjects, ResumeFile
from sam2_ros.scenes.demo_scene import DUCK, demo_scene
from sam2_ros.tracking import rle
from sam2_ros.tracking.sighting import Sighting
from sam2_ros.tracking.tracker import Tracker

KEPT = KeptObjects(
    (Sighting(4, "cup", 10, np.full((64, 64, 3), 99, np.uint8), np.ones((60, 80), bool), True),), 5, {4: 3.0}
)


class Kept:
    """A stream's objects, and how often they were asked for."""

    def __init__(self, kept: KeptObjects = KEPT) -> None:
        self.kept, self.asked = kept, 0

    def __call__(self) -> Future[KeptObjects]:
        answer: Future[KeptObjects] = Future()
        answer.set_result(self.kept)
        self.asked += 1
        return answer


def wait_for(event: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not event():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state/objects.zip"


@pytest.fixture
def keepers(path: Path) -> Iterator[Callable[..., tuple[ObjectKeeper, WrittenLog]]]:
    made = []

    def make(period: float = 0.005) -> tuple[ObjectKeeper, WrittenLog]:
        written = WrittenLog()
        made.append(ObjectKeeper(ResumeFile(path), written.log, period))
        return made[-1], written

    yield make
    for keeper in made:
        keeper.stop()


def test_file_is_written_only_if_something_has_changed(path: Path, keepers) -> None:
    keeper, written = keepers()
    assert keeper.load() == KeptObjects()
    kept = Kept(KeptObjects())
    keeper.start(kept)
    wait_for(lambda: kept.asked > 3)
    assert not path.exists(), "nothing to say"
    kept.kept = KEPT
    wait_for(path.exists)
    before, asked = path.stat(), kept.asked
    wait_for(lambda: kept.asked > asked + 3)
    assert path.stat().st_ino == before.st_ino
    kept.kept = replace(KEPT, next_id=6)
    wait_for(lambda: path.stat().st_ino != before.st_ino)
    assert written.lines == []


def test_objects_are_loaded_and_named(path: Path, keepers) -> None:
    ResumeFile(path).path.parent.mkdir()
    ResumeFile(path).write(KEPT)
    keeper, written = keepers()
    assert keeper.load().forget_after == {4: 3.0}
    assert written.lines[0].startswith(f"Going on with 1 object from {path}, written ") and written.lines[0].endswith(
        ": 4 cup"
    )


def test_last_state_is_written_at_the_end_or_forgotten(path: Path, keepers) -> None:
    keeper, _ = keepers(period=1000.0)
    keeper.load()
    keeper.start(Kept())
    keeper.stop()
    assert ResumeFile(path).read() is not None
    keeper, _ = keepers(period=1000.0)
    keeper.load()
    keeper.start(Kept())
    keeper.stop(forget=True)
    assert not path.exists()


def test_foreign_file_is_set_aside_with_an_error(path: Path, keepers) -> None:
    path.parent.mkdir()
    path.write_bytes(b"somebody's letters")
    keeper, written = keepers()
    assert keeper.load() == KeptObjects()
    (aside,) = path.parent.glob("*unreadable*")
    assert aside.read_bytes() == b"somebody's letters" and f"It is {aside} now" in written.lines[0]
    keeper.start(Kept())
    wait_for(path.exists)


def test_foreign_file_that_cannot_be_renamed_is_left_alone(path: Path, keepers, monkeypatch) -> None:
    path.parent.mkdir()
    path.write_bytes(b"somebody's letters")
    keeper, written = keepers()

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "rename", refuse)
    assert keeper.load() == KeptObjects()
    keeper.start(Kept())
    keeper.stop()
    assert path.read_bytes() == b"somebody's letters" and "stays as it is" in written.lines[0]


def test_second_node_does_not_write(path: Path, keepers) -> None:
    (first, _), (second, written) = keepers(), keepers()
    first.load()
    assert second.load() == KeptObjects()
    assert "belongs to another sam2 node" in written.lines[0]
    second.start(kept := Kept())
    second.stop()
    assert not kept.asked and not path.exists()


def test_failing_disk_is_reported_and_tried_again(path: Path, keepers, monkeypatch) -> None:
    keeper, written = keepers()
    keeper.load()
    broken = True

    def write(file: ResumeFile, kept: KeptObjects) -> None:
        if broken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(file, kept)

    original = ResumeFile.write
    monkeypatch.setattr(ResumeFile, "write", write)
    keeper.start(kept := Kept())
    wait_for(lambda: kept.asked > 3)
    assert written.lines == ["resume_file cannot be written: [Errno 28] No space left on device"], "once in a while"
    broken = False
    wait_for(path.exists)


def test_each_camera_has_a_file() -> None:
    assert resume_path("", "front") is None
    assert resume_path("/var/objects.zip", "") == Path("/var/objects.zip")
    assert resume_path("/var/objects.zip", "front") == Path("/var/objects.front.zip")
    assert resume_path("~/objects", "front") == Path.home() / "objects.front"
    assert resume_path("objects", "") == Path.cwd() / "objects"


def test_objects_that_cannot_go_on_do_not_stop_the_node(
    graph: Graph, robot: Robot, checkpoint: Path, path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    path.parent.mkdir()
    ResumeFile(path).write(KEPT)
    resume = Tracker.resume

    def fail(tracker: Tracker, sightings: tuple[Sighting, ...], next_id: int) -> list[int]:
        if sightings:
            raise RuntimeError("a surprise")
        return resume(tracker, sightings, next_id)

    monkeypatch.setattr(Tracker, "resume", fail)
    graph.sam2(checkpoint=str(checkpoint), resume_file=str(path))
    robot.wait_until_connected()
    assert robot.show(0).masklets == []
    assert "has objects that cannot go on: RuntimeError: a surprise" in node_log.written()
    (aside,) = path.parent.glob("*unreadable*")
    assert ResumeFile(aside).read() is not None


def test_reset_and_cleanup_forget(graph: Graph, robot: Robot, checkpoint: Path, path: Path) -> None:
    graph.sam2(checkpoint=str(checkpoint), resume_file=str(path))
    robot.wait_until_connected()
    robot.show(0)
    robot.prompt(BOX)

    def kept_ids() -> set[int]:
        kept = ResumeFile(path).read()
        return set() if kept is None else {sighting.object_id for sighting in kept.sightings}

    robot.wait_for(lambda: kept_ids() == {1}, "for the file")
    assert robot.call(Trigger, "sam2/reset").success
    robot.wait_for(lambda: not kept_ids(), "for the file")
    robot.show(1)
    robot.prompt(BOX)
    robot.wait_for(lambda: kept_ids() == {1}, "for the file")
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        assert robot.call(ChangeState, "sam2/change_state", transition=Transition(id=transition)).success
    assert not path.exists()


class Process:
    """A sam2 node as a process, with the default model."""

    def __init__(self, folder: Path, resume_file: Path) -> None:
        self._log = folder / f"node{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "sam2_ros.ros.node", "--ros-args", "-p", f"resume_file:={resume_file}"]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen([*command, "-p", "threads:=1"], stdout=log, stderr=log)

    def has_logged(self, text: str) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        return text in self._log.read_text()

    def end(self, kind: signal.Signals = signal.SIGKILL) -> None:
        self._process.send_signal(kind)
        self._process.wait(TIMEOUT)


@pytest.fixture
def start(tmp_path: Path, path: Path) -> Iterator[Callable[[], Process]]:
    started: list[Process] = []

    def start() -> Process:
        started.append(Process(tmp_path, path))
        return started[-1]

    yield start
    for process in started:
        process.end()


def show(robot: Robot, index: int, pixels: np.ndarray) -> msg.MaskletArray:
    """Sends an image until there are masklets: topics of a killed node are listed for some more seconds.

    Each time it is a new image: the masklets of the first may get lost, and the same stamp would be skipped.
    """
    message, count = to_message(pixels, "rgb8", header_of(index)), len(robot.masklets)
    sent = 0.0

    def is_answered() -> bool:
        nonlocal sent
        if time.monotonic() > sent + 1:
            robot.camera.publish(message)
            message.header.stamp.nanosec += 1_000_000
            sent = time.monotonic()
        return len(robot.masklets) > count

    robot.wait_for(is_answered, "for masklets")
    return robot.masklets[count]


def test_killed_node_comes_back_with_the_same_objects(robot: Robot, path: Path, start) -> None:
    """The duck is followed. Half a second of images is missing."""
    clip = demo_scene(20)
    # Every other pixel: larger images get lost between processes without the profile of config/fastdds.xml.
    frames = [np.ascontiguousarray(pixels[::2, ::2]) for pixels in clip.frames]
    ducks = [masks[DUCK - 1][::2, ::2] for masks in clip.masks]
    rows, columns = np.nonzero(ducks[0])
    box = RegionOfInterest(x_offset=int(columns.min()), y_offset=int(rows.min()))
    box.width, box.height = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
    first = start()
    robot.wait_until_connected()
    show(robot, 0, frames[0])
    answer = robot.call(srv.PromptObject, "sam2/prompt", prompt=msg.Prompt(object_id=7, label="duck", box=box)).result
    assert answer.accepted
    show(robot, 1, frames[4])
    robot.wait_for(lambda: (kept := ResumeFile(path).read()) is not None and len(kept.sightings) == 2, "for the file")
    first.end()

    second = start()  # ends before it has seen an image
    robot.wait_for(lambda: second.has_logged("Going on with 1 object from"), "for the objects")
    robot.wait_for(lambda: second.has_logged("Active"), "for the node")
    time.sleep(1.5)  # it may write now
    second.end()

    third = start()
    robot.wait_for(lambda: third.has_logged("Active"), "for the node")
    (masklet,) = show(robot, 2, frames[17]).masklets
    assert (masklet.object_id, masklet.label, masklet.present) == (7, "duck", True)
    mask, truth = rle.decode(np.array(masklet.mask.counts), *ducks[17].shape), ducks[17]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8
    assert robot.call(srv.PromptObject, "sam2/prompt", prompt=msg.Prompt(box=box)).result.object_id == 8
    third.end(signal.SIGTERM)
    kept = ResumeFile(path).read()
    assert kept is not None and {sighting.object_id for sighting in kept.sightings} == {7, 8}, "written at the end, too"
