"""The node in the graph: lifecycle, QoS, pictures on demand, diagnostics."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from pathlib import Path

import node_log
import numpy as np
import pytest
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from robot import BOX, CLICK, SIZE, TIMEOUT, Graph, Robot, header_of, picture
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from sam2_ros import msg, srv
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.onnx.network import OnnxNetwork
from sam2_ros.data.image_message import to_rgb
from sam2_ros.model.config import CONFIGS
from sam2_ros.ros import image_watch
from sam2_ros.ros.images import to_jpeg, to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.system.threads import network_threads
from sam2_ros.tracking import rle
from sam2_ros.tracking.overlay import Overlay


def change(robot: Robot, transition: int) -> bool:
    return robot.call(ChangeState, "sam2/change_state", transition=Transition(id=transition)).success


def state_of(robot: Robot) -> str:
    return robot.call(GetState, "sam2/get_state").current_state.label


def test_lifecycle(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), autostart=False)
    assert state_of(robot) == "unconfigured"
    assert not change(robot, Transition.TRANSITION_ACTIVATE), "an impossible transition is refused, and survived"
    answer = robot.call(srv.PromptObject, "sam2/prompt", prompt=CLICK)
    assert not answer.result.accepted and "not configured" in answer.result.message
    assert not robot.call(Trigger, "sam2/reset").success

    assert change(robot, Transition.TRANSITION_CONFIGURE)
    assert state_of(robot) == "inactive"
    assert not robot.camera.get_subscription_count(), "subscriptions live while active"
    answer = robot.call(srv.PromptObject, "sam2/prompt", prompt=CLICK)
    assert not answer.result.accepted and "not active" in answer.result.message
    assert [result.message for result in robot.results] == ["the node is not configured", answer.result.message]

    assert change(robot, Transition.TRANSITION_ACTIVATE)
    robot.wait_until_connected()
    robot.show(0)
    robot.prompt(CLICK)
    robot.prompts.publish(msg.PromptArray(header=header_of(9), prompts=[CLICK]))
    robot.wait_for(lambda: node.cameras[0].stream._prompts, "for the prompt to arrive")

    assert change(robot, Transition.TRANSITION_DEACTIVATE)
    robot.wait_for(lambda: not robot.camera.get_subscription_count(), "for the subscription to go")
    assert "not active" in robot.results[-1].message, "a waiting prompt is refused"
    assert [masklet.object_id for masklet in robot.call(srv.ListObjects, "sam2/list").objects] == [1]
    assert change(robot, Transition.TRANSITION_ACTIVATE)
    robot.wait_until_connected()
    assert [masklet.object_id for masklet in robot.show(1).masklets] == [1], "objects survive deactivation"

    assert gc.get_freeze_count(), "collections do not visit what stays"
    network = weakref.ref(node.cameras[0].stream._session.tracker.network)
    assert change(robot, Transition.TRANSITION_DEACTIVATE) and change(robot, Transition.TRANSITION_CLEANUP)
    assert state_of(robot) == "unconfigured" and network() is None, "the memory is free for another model"
    unasked = robot.call(srv.ListObjects, "sam2/list")
    assert not unasked.success and "not configured" in unasked.message
    assert change(robot, Transition.TRANSITION_CONFIGURE) and change(robot, Transition.TRANSITION_ACTIVATE)
    robot.wait_until_connected()
    assert not robot.show(2).masklets
    assert change(robot, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert state_of(robot) == "finalized"


def test_damaged_or_mismatched_checkpoint_error_names_the_problem(
    graph: Graph, robot: Robot, checkpoint: Path, tmp_path: Path, capfd
) -> None:
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(b"no weights")
    node = graph.sam2(checkpoint=str(damaged), autostart=False)
    assert not change(robot, Transition.TRANSITION_CONFIGURE)
    assert state_of(robot) == "unconfigured"
    first = node_log.written()
    assert str(damaged) in first

    node.set_parameters([Parameter("checkpoint", value=str(checkpoint)), Parameter("model", value="sam2.1_hiera_tiny")])
    assert not change(robot, Transition.TRANSITION_CONFIGURE)
    log = node_log.written().removeprefix(first)
    assert str(checkpoint) in log and " has shape " in log and "looks like default" in log

    values = {"model": "", "image_size": 128, "image_aspect": "4:3"}
    assert all(result.successful for result in node.set_parameters([Parameter(n, value=v) for n, v in values.items()]))
    assert change(robot, Transition.TRANSITION_CONFIGURE)
    assert state_of(robot) == "inactive"
    assert node.cameras[0].stream._session.tracker.network.config.shape(1, 1) == (96, 160)


@pytest.mark.parametrize(("module", "argument"), [("node", "model=default"), ("camera", "clip.mp4")])
def test_parameter_without_ros_args_is_an_error(ros_domain: int, module: str, argument: str) -> None:
    """Without --ros-args, ROS would ignore it."""
    command = [sys.executable, "-m", f"sam2_ros.ros.{module}", argument]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert completed.returncode == 2 and f"unrecognized arguments: {argument}" in completed.stderr
    assert "--ros-args -" in completed.stderr, "the usage is shown"


def test_invalid_qos_is_logged(graph: Graph, robot: Robot, checkpoint: Path, capfd) -> None:
    """The node stays configured, so that it can be activated with other QoS."""
    overrides = {"qos_overrides./image.subscription.reliability": "best-effort"}
    node = graph.sam2(checkpoint=str(checkpoint), autostart=False, **overrides)
    assert change(robot, Transition.TRANSITION_CONFIGURE)
    assert not change(robot, Transition.TRANSITION_ACTIVATE)
    assert state_of(robot) == "inactive" and not node.cameras[0].inputs._subscriptions
    assert "Not active" in node_log.written()


def test_queue_size_applies_at_each_configure(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint))
    robot.wait_until_connected()
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        assert change(robot, transition)
    node.set_parameters([Parameter("keep_all", value=True), Parameter("queue_size", value=33)])
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert change(robot, transition)
    assert node.cameras[0].inputs._subscriptions[0].qos_profile.depth == 33


@pytest.mark.parametrize(
    ("topic", "kind", "reason"),
    [
        ("nothing", Image, "there is no publisher:"),
        ("image", CompressedImage, "sensor_msgs/msg/CompressedImage"),
        ("image/compressed", CompressedImage, "set image_transport to compressed"),
    ],
)
def test_missing_images_are_logged_with_the_reason(
    ros_domain: int, graph: Graph, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capfd, topic, kind, reason
) -> None:
    graph.remove(graph.robot)
    monkeypatch.setattr(image_watch, "IMAGE_TIMEOUT", 0.1)
    apart = Context()  # one participant can't have two types on a topic
    rclpy.init(context=apart, domain_id=ros_domain)
    try:
        camera = Node("camera", context=apart)
        camera.create_publisher(kind, topic, 10)
        graph.sam2(checkpoint=str(checkpoint))
        deadline = time.monotonic() + TIMEOUT
        while reason not in (log := node_log.written()) and time.monotonic() < deadline:
            time.sleep(0.05)
        camera.destroy_node()
    finally:
        rclpy.shutdown(context=apart)
    assert "No Image has come on /image" in log and reason in log


@pytest.mark.parametrize("non_overlap_masks", [False, True])
def test_non_overlap_masks(graph: Graph, robot: Robot, checkpoint: Path, non_overlap_masks) -> None:
    """Two objects with the same mask: both keep it, or only one of them."""
    graph.sam2(checkpoint=str(checkpoint), non_overlap_masks=non_overlap_masks)
    robot.wait_until_connected()
    robot.show(0)
    for _ in range(2):
        assert robot.call(srv.PromptObject, "sam2/prompt", prompt=CLICK).result.accepted
    first, second = (rle.decode(m.mask.counts, m.mask.height, m.mask.width) for m in robot.show(1).masklets)
    assert first.any() and (first & second).any() != non_overlap_masks


@pytest.mark.parametrize(("value", "looks"), [("auto", True), ("on", True), ("off", False)])
def test_closer_look(graph: Graph, robot: Robot, checkpoint: Path, value: str, looks: bool) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), closer_look=value)
    robot.wait_until_connected()
    assert node.cameras[0].stream._session.tracker.closer_look == looks, "it suits the default model"


def test_compressed_images(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), image_transport="compressed")
    camera = robot.create_publisher(CompressedImage, "image/compressed", 10)
    robot.wait_for(
        lambda: (
            node.cameras[0].inputs._subscriptions and node.cameras[0].inputs._subscriptions[0].get_publisher_count()
        ),
        "for the camera",
    )
    robot.wait_for(camera.get_subscription_count, "for the node")
    robot.wait_for(lambda: robot.count_publishers("sam2/masklets"), "for the node")
    camera.publish(CompressedImage(header=header_of(0), format="jpeg", data=b"no picture"))
    camera.publish(to_jpeg(picture(1), header_of(1)))
    robot.wait_for(lambda: robot.masklets, "for masklets")
    assert robot.masklets == [msg.MaskletArray(header=header_of(1), height=SIZE[0], width=SIZE[1])]


def test_overlay_and_labels_are_published_only_to_subscribers(
    robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    original = Overlay.draw
    monkeypatch.setattr(Overlay, "draw", lambda *picture: made.append(picture) or original(*picture))
    robot.show(0)
    robot.prompt(BOX)
    robot.show(1)
    assert not made

    labels = robot.listen(Image, "sam2/labels")
    overlay = robot.listen(Image, "sam2/overlay")
    compressed = robot.listen(CompressedImage, "sam2/overlay/compressed")
    outputs = sam2.cameras[0].outputs
    publishers = (outputs.labels._numbers, outputs.overlay._raw, outputs.overlay._jpeg)
    robot.wait_for(lambda: all(one.get_subscription_count() for one in publishers), "for the subscriptions")
    robot.wait_until_connected()
    (masklet,) = robot.show(2).masklets
    robot.wait_for(lambda: labels and overlay and compressed, "for pictures")
    mask = rle.decode(np.array(masklet.mask.counts), *SIZE)
    assert labels[0].encoding == "mono16" and labels[0].header == header_of(2)
    assert np.array_equal(np.frombuffer(labels[0].data, "<u2").reshape(SIZE), mask * np.uint16(masklet.object_id))
    drawn = to_rgb(overlay[0])
    assert overlay[0].header == compressed[0].header == header_of(2)
    assert np.any(drawn != picture(2)) and drawn.shape == (*SIZE, 3)
    assert compressed[0] == to_jpeg(np.ascontiguousarray(drawn[..., ::-1]), header_of(2))

    # Without a new image, a prompted object is drawn at once.
    robot.prompt(CLICK)
    robot.wait_for(lambda: len(overlay) == 2, "for the picture of the prompt")
    assert overlay[1].header == header_of(2) and not np.array_equal(to_rgb(overlay[1]), drawn)
    assert len(labels) == 1


def test_diagnostics(graph: Graph, robot: Robot, checkpoint: Path, tmp_path: Path) -> None:
    messages = robot.listen(DiagnosticArray, "/diagnostics")
    (tmp_path / "damaged.pt").write_bytes(b"no weights")
    node = graph.sam2(checkpoint=str(tmp_path / "damaged.pt"), autostart=False)

    def report(text: str) -> dict[str, str]:
        robot.wait_for(lambda: messages and text in messages[-1].status[0].message, f"for {text}")
        return {pair.key: pair.value for pair in messages[-1].status[0].values}

    report("not configured")
    assert messages[-1].status[0].level == DiagnosticStatus.WARN
    assert not change(robot, Transition.TRANSITION_CONFIGURE)
    report("damaged.pt")
    assert messages[-1].status[0].level == DiagnosticStatus.ERROR
    node.set_parameters([Parameter("checkpoint", value=str(checkpoint))])
    assert change(robot, Transition.TRANSITION_CONFIGURE)
    report("not active")
    assert change(robot, Transition.TRANSITION_ACTIVATE)
    robot.wait_until_connected()
    report("no images")
    assert messages[-1].status[0].level == DiagnosticStatus.WARN
    robot.show(0)
    robot.prompt(CLICK, msg.Prompt())
    values = report("1 object")
    assert messages[-1].status[0].level == DiagnosticStatus.OK and messages[-1].status[0].name == "/sam2: tracking"
    assert values["images processed"] == values["prompts accepted"] == values["prompts refused"] == "1"
    assert (values["model"], values["device"], values["dtype"]) == ("default", "cpu", "float32")
    assert values["attention kernel"].startswith(("C++ (", "PyTorch ("))
    assert values["threads"] == str(
        network_threads(CONFIGS["default"].image_size, True, has_cpu_kernels(torch.float32))
    )
    assert 0 < float(values["latency p50 (ms)"]) <= float(values["latency p99 (ms)"])
    assert float(values["memory (MiB)"]) > 50
    robot.camera.publish(Image(header=header_of(1), encoding="hsv9"))
    report("1 image could not be read: ")
    assert messages[-1].status[0].level == DiagnosticStatus.ERROR


def test_images_without_a_stamp_are_processed(robot: Robot, sam2: Sam2Node) -> None:
    unstamped = to_message(picture(0), "rgb8", header_of(0))
    unstamped.header.stamp.sec = unstamped.header.stamp.nanosec = 0
    robot.send(unstamped)
    robot.prompt(CLICK)
    assert [masklet.object_id for masklet in robot.send(unstamped).masklets] == [1]
    assert robot.masklets[-1].header == unstamped.header


def test_exported_graphs_replace_weights(graph: Graph, robot: Robot, exported: Path) -> None:
    node = graph.sam2(checkpoint=str(exported), threads=1)
    robot.wait_until_connected()
    robot.show(0)
    assert robot.prompt(CLICK)[0].accepted
    assert [masklet.object_id for masklet in robot.show(1).masklets] == [1]
    assert len(robot.call(srv.ListObjects, "sam2/list").objects) == 1
    network = node.cameras[0].stream._session.tracker.network
    assert isinstance(network, OnnxNetwork)
    assert {session.get_session_options().intra_op_num_threads for session in network._sessions.values()} == {1}


def test_exported_graphs_refuse_bfloat16(graph: Graph, robot: Robot, exported: Path) -> None:
    node = graph.sam2(checkpoint=str(exported), dtype="bfloat16", autostart=False)
    assert not change(robot, Transition.TRANSITION_CONFIGURE)
    assert not node.is_configured


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ({"image_size": 320}, "graphs for 192 pixels, aspect 4:3, not for 320 pixels"),
        ({"model": "sam2.1_hiera_tiny"}, "holds graphs of the model 'default', not of 'sam2.1_hiera_tiny'"),
    ],
    ids=str,
)
def test_invalid_exported_graphs_are_refused(graph: Graph, exported: Path, parameter: dict, reason: str) -> None:
    node = graph.sam2(checkpoint=str(exported), autostart=False, **parameter)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert node._configure_error.startswith(f"Not configured: {exported}: {reason}")
