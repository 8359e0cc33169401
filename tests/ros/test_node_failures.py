"""What goes wrong in the field: what the node does, and what /diagnostics says. docs/failures.md is the table of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from broken_gpu import breaking, illegal_access, out_of_memory
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from robot import BOX, CLICK, START, TIMEOUT, Graph, Robot, header_of, picture
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from sam2_ros import msg
from sam2_ros.ros import clock_watch, image_watch, node, problems
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.process import LOST
from sam2_ros.ros.stamps import time_message
from sam2_ros.tracking.tracker import Tracker

ROOT = Path(__file__).resolve().parents[2]
SECOND = 1_000_000_000  # ns
OK, WARN, ERROR, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE


class Monitor:
    """Reads /diagnostics, as a robot's monitor does."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._messages = robot.listen(DiagnosticArray, "/diagnostics")

    def wait_for(self, level: bytes, *texts: str) -> DiagnosticStatus:
        """Waits for a status from now on, with a level, and with texts in its message."""
        start, found = len(self._messages), []

        def arrived() -> bool:
            statuses = [status for message in self._messages[start:] for status in message.status]
            found[:] = [
                status for status in statuses if status.level == level and all(text in status.message for text in texts)
            ]
            return bool(found)

        try:
            self._robot.wait_for(arrived, f"for {texts}", timeout=20.0)
        except AssertionError as error:
            said = dict.fromkeys(status.message for message in self._messages[start:] for status in message.status)
            raise AssertionError(f"{error}; said: {list(said)[:9]}") from None
        return found[0]

    def wait_without(self, name: str) -> None:
        """Waits until a problem is not reported any more."""
        start = len(self._messages)
        self._robot.wait_for(
            lambda: any(
                f"problem: {name}" not in values_of(status)
                for message in self._messages[start:]
                for status in message.status
            ),
            f"for the end of {name}",
        )


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


@pytest.fixture(autouse=True)
def frequent_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "REPORT_PERIOD", 0.1)
    monkeypatch.setattr(image_watch, "IMAGE_TIMEOUT", 60.0)  # as long as these tests wait on a busy machine


@pytest.fixture
def monitor(robot: Robot, sam2: Sam2Node) -> Monitor:
    return Monitor(robot)


def stamped(stamp: int, index: int = 0, frame: str = "camera_optical") -> Image:
    return to_message(picture(index), "rgb8", Header(stamp=time_message(stamp), frame_id=frame))


def ids(message: msg.MaskletArray) -> list[int]:
    return [masklet.object_id for masklet in message.masklets]


def test_camera_falls_silent_and_comes_back(
    robot: Robot, sam2: Sam2Node, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_watch, "IMAGE_TIMEOUT", 0.3)
    monitor.wait_for(WARN, "no Image has come on /image for", "its publisher /robot sends nothing")
    robot.show(0)
    robot.prompt(CLICK)
    monitor.wait_for(STALE, "no Image has come on /image for", "the masklets are as old", "/robot sends nothing")
    robot.destroy_publisher(robot.camera)
    monitor.wait_for(STALE, "there is no publisher any more: start the camera again")
    robot.camera = robot.create_publisher(Image, "image", 10)
    robot.wait_for(robot.camera.get_subscription_count, "for the node")
    monkeypatch.setattr(image_watch, "IMAGE_TIMEOUT", 60.0)
    assert ids(robot.show(1)) == [1]
    monitor.wait_without("no images")


def test_resolution_and_frame_change_in_mid_stream(robot: Robot, sam2: Sam2Node, monitor: Monitor) -> None:
    robot.show(0)
    robot.prompt(CLICK)
    small = to_message(picture(1)[::2, ::2].copy(), "rgb8", Header(stamp=header_of(1).stamp, frame_id="other_optical"))
    answer = robot.send(small)
    assert (answer.height, answer.width, answer.header) == (48, 64, small.header)
    assert ids(answer) == [1] and (answer.masklets[0].mask.height, answer.masklets[0].mask.width) == (48, 64)
    status = monitor.wait_for(WARN, "the resolution has changed, from 128x96 to 64x48; tracked objects are kept")
    assert "from 'camera_optical' to 'other_optical'" in values_of(status)["problem: frame changes"]
    assert robot.prompt(BOX)[0].accepted
    assert ids(robot.show(2)) == [1, 2]


def test_stamps_stand_still(robot: Robot, sam2: Sam2Node, monitor: Monitor) -> None:
    robot.show(0)
    robot.prompt(CLICK)
    meter = sam2.cameras[0].stream._meter
    for number in range(4):
        robot.camera.publish(stamped(START))
        robot.wait_for(lambda: meter["repeated"] == number + 1, "for the image")  # noqa: B023
    status = monitor.wait_for(WARN, "4 images were left out, because they have the same stamp", "must stamp each image")
    assert len(robot.masklets) == 1 and values_of(status)["images repeated"] == "4"
    assert ids(robot.show(1)) == [1], "it goes on when the stamps do"


def test_stamps_jump_ahead(robot: Robot, sam2: Sam2Node, monitor: Monitor) -> None:
    robot.show(0)
    robot.show(1)
    robot.prompt(CLICK)
    assert ids(robot.send(stamped(START + 3600 * SECOND))) == [1]
    monitor.wait_for(WARN, "time has jumped, ahead by 3599.900 s between images that came", "objects are kept")
    assert ids(robot.send(stamped(START + 3601 * SECOND))) == [1]


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (
            2,
            "time has jumped, back by 3600.100 s (a looped bag?): 1 object forgotten. To keep objects: time_jump",
        ),
        (1, "stamps were wrong, by 3600.000 s; tracked objects are kept"),
    ],
)
def test_stamps_jump_back(robot: Robot, sam2: Sam2Node, monitor: Monitor, before: int, text: str) -> None:
    """Which objects are kept is for test_stream_time_jumps.py."""
    for index in range(before):
        robot.send(stamped(START + 3600 * SECOND + index * SECOND // 10))
    robot.prompt(CLICK)
    stream = sam2.cameras[0].stream
    for index in range(3):
        robot.camera.publish(stamped(START + index * SECOND // 10))
        robot.wait_for(lambda: stream._meter["received"] == before + index + 1, "for the image")  # noqa: B023
        robot.wait_for(lambda: not stream._has_images, "for it to be taken")
    monitor.wait_for(WARN, text)


@pytest.mark.parametrize(
    ("shift", "level", "text"),
    [
        (10.0, WARN, "s ahead of this node's clock: synchronise the clocks"),
        (-60.0, WARN, "s old when they arrive"),
        (-3 * 86400.0, OK, "72 h behind this node's clock"),
        (7200.5, OK, "2 h ahead of this node's clock"),
    ],
)
def test_stamps_are_of_another_clock(
    robot: Robot, sam2: Sam2Node, monitor: Monitor, shift: float, level: bytes, text: str
) -> None:
    robot.send(stamped(time.time_ns() + round(shift * SECOND)))
    robot.prompt(CLICK)
    if level == WARN:
        monitor.wait_for(WARN, text)
    else:
        assert text in values_of(monitor.wait_for(OK, "1 object"))["note: clock"]
    assert ids(robot.send(stamped(time.time_ns() + round(shift * SECOND)))) == [1], "it is used all the same"


def test_simulated_time_is_missing_then_stops(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_watch, "CLOCK_TIMEOUT", 0.3)
    graph.sam2(checkpoint=str(checkpoint), use_sim_time=True)
    robot.wait_until_connected()
    monitor = Monitor(robot)
    monitor.wait_for(WARN, "use_sim_time is set, but /clock is not published")
    clock = robot.create_publisher(Clock, "/clock", 10)
    robot.wait_for(clock.get_subscription_count, "for the node")
    clock.publish(Clock(clock=time_message(7 * SECOND)))
    status = monitor.wait_for(WARN, "/clock has stood still at 7.000 s")
    assert status.name == "/sam2: tracking"
    robot.send(stamped(0))
    assert robot.prompt(CLICK)[0].accepted, "images are processed nevertheless"


def test_a_second_node_of_the_same_name(ros_domain: int, robot: Robot, sam2: Sam2Node, monitor: Monitor) -> None:
    robot.show(0)
    apart = Context()  # as another process
    rclpy.init(context=apart, domain_id=ros_domain)
    try:
        other = Node("sam2", context=apart)
        monitor.wait_for(WARN, "2 nodes are called /sam2", "Stop one, or start it under another name")
        other.destroy_node()
    finally:
        rclpy.shutdown(context=apart)
    monitor.wait_without("duplicate")


def test_out_of_memory_drops_the_newest_object_and_says_what_to_do(
    robot: Robot, sam2: Sam2Node, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.show(0)
    robot.prompt(CLICK, BOX)
    network = sam2.cameras[0].stream._session.tracker.network
    with monkeypatch.context() as broken:
        broken.setattr(network, "track", breaking(network.track, out_of_memory, 0))
        assert ids(robot.show(1)) == [1]
    monitor.wait_for(ERROR, "the GPU is out of memory: object 2 is not tracked any more", "lower max_objects")
    with monkeypatch.context() as broken:
        broken.setattr(network, "encode_image", breaking(network.encode_image, out_of_memory, 0))
        robot.camera.publish(to_message(picture(2), "rgb8", header_of(2)))
        monitor.wait_for(ERROR, "the GPU is out of memory: an image was left out")
    assert ids(robot.show(3)) == [1]


def test_lost_gpu_refuses_everything_with_the_reason(
    graph: Graph, robot: Robot, sam2: Sam2Node, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a component among others, whose process it must not end."""
    robot.show(0)
    network = sam2.cameras[0].stream._session.tracker.network
    monkeypatch.setattr(network, "condition", breaking(network.condition, illegal_access, 0, None))
    (answer,) = robot.prompt(CLICK)
    assert not answer.accepted and "illegal memory access" in answer.message
    monitor.wait_for(ERROR, "the GPU is lost to this process", "illegal memory access", "only a new process")
    (answer,) = robot.prompt(BOX)
    assert not answer.accepted and "the GPU is lost to this process" in answer.message
    reset = robot.call(Trigger, "sam2/reset")
    assert not reset.success and "the GPU is lost to this process" in reset.message


def test_a_hanging_network_is_told(
    robot: Robot, sam2: Sam2Node, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "STUCK_TIMEOUT", 0.2)
    robot.show(0)
    step, go_on = Tracker.step, threading.Event()
    monkeypatch.setattr(Tracker, "step", lambda *arguments: go_on.wait(TIMEOUT) and step(*arguments))
    robot.camera.publish(to_message(picture(1), "rgb8", header_of(1)))
    monitor.wait_for(STALE, "the network has worked on one image for", "choose a smaller model", "nvidia-smi")
    go_on.set()
    robot.show(2)
    monitor.wait_without("stuck")


def test_monitors_hear_that_it_configures(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, go_on = Sam2Node._load, threading.Event()
    monkeypatch.setattr(Sam2Node, "_load", lambda sam2: go_on.wait(TIMEOUT) and load(sam2))
    monitor = Monitor(robot)
    graph.sam2(checkpoint=str(checkpoint))
    monitor.wait_for(WARN, "configuring: weights are loaded")
    go_on.set()
    monitor.wait_for(WARN, "no images yet")


def test_weights_may_vanish_while_the_node_runs(graph: Graph, robot: Robot, checkpoint: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    shutil.copy(checkpoint, weights)
    graph.sam2(checkpoint=str(weights))
    robot.wait_until_connected()
    os.truncate(weights, 100)  # if it were mapped into memory, this would kill the process
    robot.show(0)
    robot.prompt(CLICK)
    assert ids(robot.show(1)) == [1]


def test_gpu_lost_while_configuring_ends_the_process_too(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(sam2: Sam2Node) -> None:
        raise illegal_access()

    monkeypatch.setattr(Sam2Node, "_load", fail)
    ended = threading.Event()
    parameters = [Parameter("checkpoint", value=str(checkpoint))]
    graph.add(Sam2Node(on_lost=ended.set, context=graph.context, parameter_overrides=parameters))
    assert ended.wait(TIMEOUT)
    Monitor(robot).wait_for(ERROR, "Not configured:", "CUDA error: an illegal memory access")


@pytest.fixture
def process(ros_domain: int, checkpoint: Path, tmp_path: Path) -> Iterator[subprocess.Popen]:
    """The node in a process of its own, with a stand-in for a GPU that breaks at the third image."""
    text = "CUDA error: an illegal memory access was encountered"
    command = [sys.executable, str(ROOT / "tests/broken_gpu.py"), "encode", "2", text]
    parameters = ["--ros-args", "-p", f"checkpoint:={checkpoint}", "-p", f"resume_file:={tmp_path / 'objects'}"]
    with subprocess.Popen([*command, *parameters], stderr=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def test_lost_gpu_ends_the_process_so_that_respawn_works(
    graph: Graph, robot: Robot, process: subprocess.Popen, checkpoint: Path, tmp_path: Path
) -> None:
    start = time.monotonic()
    monitor = Monitor(robot)
    robot.wait_until_discovered()
    started_in = time.monotonic() - start
    robot.show(0)
    robot.prompt(CLICK)
    assert ids(robot.show(1)) == [1]
    start = time.monotonic()
    robot.camera.publish(to_message(picture(2), "rgb8", header_of(2)))
    monitor.wait_for(ERROR, "the GPU is lost to this process", "illegal memory access")
    _, log = process.communicate(timeout=TIMEOUT)
    assert process.returncode == LOST != 0
    assert time.monotonic() - start < max(5.0, started_in), "it ends in seconds, on a busy machine somewhat later"
    assert "The node cannot go on: the GPU is lost" in log and "respawn:=true" in log and "Traceback" not in log
    robot.wait_for(lambda: not robot.camera.get_subscription_count(), "for it to leave the graph", timeout=2.0)

    graph.sam2(checkpoint=str(checkpoint), resume_file=str(tmp_path / "objects"))
    robot.wait_until_connected()
    assert ids(robot.show(3)) == [1], "the next process has the same objects"
