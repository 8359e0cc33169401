"""Parameters that apply while the node runs, set by the service that `ros2 param set` calls; QoS; several robots."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy
from robot import BOX, CLICK, Graph, Robot, header_of, picture
from sensor_msgs.msg import Image
from vision_detector import Detector

from sam2_ros import msg, srv
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.tracking import rle
from sam2_ros.tracking.overlay import TINT, Overlay


def change(robot: Robot, **values: object) -> SetParametersResult:
    parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    results = robot.call(SetParameters, "sam2/set_parameters", parameters=parameters).results
    return next((result for result in results if not result.successful), results[0])


def masks(message: msg.MaskletArray) -> list[np.ndarray]:
    return [rle.decode(np.array(m.mask.counts), m.mask.height, m.mask.width) for m in message.masklets]


def test_max_objects(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    graph.sam2(checkpoint=str(checkpoint), max_objects=1)
    robot.wait_until_connected()
    robot.show(0)
    answers = robot.prompt(CLICK, CLICK)
    assert [answer.accepted for answer in answers] == [True, False] and "(1) is reached" in answers[1].message
    assert change(robot, max_objects=2).successful
    assert robot.prompt(CLICK)[0].object_id == 2
    refused = change(robot, max_objects=1)
    assert not refused.successful and refused.reason == "max_objects is 1: 2 objects are tracked; remove some first"
    assert [masklet.object_id for masklet in robot.show(1).masklets] == [1, 2]
    assert robot.call(srv.RemoveObject, "sam2/remove", object_id=1).success
    assert change(robot, max_objects=1).successful
    assert "(1) is reached" in robot.prompt(CLICK)[0].message


def test_masks_and_boxes(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    robot.prompt(CLICK, CLICK)
    one, other = masks(robot.show(1))
    assert (one & other).any()
    assert change(robot, non_overlap_masks=True).successful
    one, other = masks(robot.show(2))
    assert not (one & other).any() and (one | other).any()
    # The part of each mask that counts for its box: all of it, or its largest part alone.
    assert change(robot, non_overlap_masks=False, box_min_part=0.0).successful
    tracker = sam2.cameras[0].stream._session.tracker
    assert {masklet.box_min_part for masklet in tracker.newest.masklets} == {0.0}
    message = robot.show(3)
    rows, columns = np.nonzero(masks(message)[0])
    box = message.masklets[0].box
    assert (box.x_offset, box.y_offset) == (columns.min(), rows.min())
    assert (box.width, box.height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert not change(robot, box_min_part=2.0).successful


def test_overlay(robot: Robot, sam2: Sam2Node, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sam2.get_parameter("overlay_opacity").value == TINT
    styles: list[tuple[float, bool]] = []
    original = Overlay.draw
    monkeypatch.setattr(Overlay, "draw", lambda *picture: styles.append(picture[3:]) or original(*picture))
    robot.show(0)
    overlays = robot.listen(Image, "sam2/overlay")
    robot.wait_for(lambda: sam2.cameras[0].outputs.overlay._raw.get_subscription_count(), "for the subscription")
    robot.show(1)
    assert change(robot, overlay_labels=False, overlay_opacity=0.75).successful
    robot.show(2)
    robot.wait_for(lambda: len(overlays) == 2, "for the overlays")
    assert styles == [(TINT, True), (0.75, False)]

    assert change(robot, overlay_max_rate=0.001).successful
    for index in range(3, 6):
        robot.show(index)
    robot.prompt(CLICK)
    robot.wait_for(lambda: overlays[-1].header == header_of(5), "for the picture of the prompt, at once")
    assert [overlay.header for overlay in overlays[2:]] == [header_of(3), header_of(5)]
    assert change(robot, overlay_max_rate=0.0).successful
    robot.show(6)
    robot.wait_for(lambda: len(overlays) > 4, "for the overlay")


def test_max_rate(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    """Of 10 images a second."""
    node = graph.sam2(checkpoint=str(checkpoint), keep_all=True)
    robot.wait_until_connected()
    robot.show(0)
    assert change(robot, max_rate=5.0).successful
    for index in range(1, 6):
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
    meter = node.cameras[0]._configured.meter
    robot.wait_for(lambda: len(robot.masklets) == 4 and meter["left out"] == 2, "for the images")
    assert [message.header for message in robot.masklets] == [header_of(index) for index in (0, 1, 3, 5)]
    assert robot.prompt(CLICK, header=header_of(4))[0].header in (header_of(3), header_of(5)), "the nearest image"
    assert change(robot, max_rate=0.0).successful
    robot.show(6)
    robot.show(7)


def test_prompt_timeout(robot: Robot, sam2: Sam2Node) -> None:
    robot.show(0)
    assert change(robot, prompt_timeout=3600.0).successful
    robot.prompts.publish(msg.PromptArray(header=header_of(8), prompts=[CLICK]))
    robot.wait_for(lambda: len(sam2.cameras[0].stream._prompts), "for the prompt")
    assert change(robot, prompt_timeout=0.1).successful
    began = time.monotonic()
    (result,) = robot.prompt(CLICK, header=header_of(9))
    assert not result.accepted and "ahead of the newest image" in result.message
    assert time.monotonic() - began < 10.0, "the default"
    assert len(sam2.cameras[0].stream._prompts) == 1, "one that came before keeps its timeout"


def test_detections(robot: Robot, sam2: Sam2Node, vision: ModuleType) -> None:
    detector = Detector(robot, vision)
    detector.wait_until_connected()
    robot.show(0)
    box = (29.0, 36.0, 26.0, 24.0)
    at_once = {"detections_do": "start", "detection_confirm": 1, "detection_confirm_within": 1}
    assert change(robot, detection_min_score=0.9, **at_once).successful
    detector.detect(0, detector.detection(box, "cup", 0.8), detector.detection((100.0, 70.0, 20.0, 20.0), "fork", 0.95))
    assert [answer.masklet.label for answer in robot.next_results(0, 1)] == ["fork"]
    assert change(robot, detection_min_score=0.5, detection_forget_after=2.0).successful
    detector.detect(0, detector.detection(box, "cup", 0.8))
    assert [answer.masklet.label for answer in robot.next_results(1, 1)] == ["cup"]
    detections = sam2.cameras[0].stream._session.detections
    assert detections.forget_after == {1: 0.0, 2: 2.0}


def test_qos_of_every_topic_can_be_overridden(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    overrides = {
        "qos_overrides./image.subscription.reliability": "reliable",
        "qos_overrides./sam2/prompts.subscription.depth": 7,
        "qos_overrides./sam2/masklets.publisher.reliability": "best_effort",
        "qos_overrides./sam2/prompt_results.publisher.depth": 3,
    }
    node = graph.sam2(checkpoint=str(checkpoint), **overrides)
    robot.wait_for(lambda: robot.count_subscribers("sam2/click"), "for the node")
    (image,) = robot.get_subscriptions_info_by_topic("/image")
    masklets = robot.get_publishers_info_by_topic("/sam2/masklets")
    assert image.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert [info.qos_profile.reliability for info in masklets] == [ReliabilityPolicy.BEST_EFFORT]
    (prompts,) = (s for s in node.cameras[0].inputs._subscriptions if s.topic_name == "/sam2/prompts")
    assert prompts.qos_profile.depth == 7
    assert node.cameras[0].outputs.answers._results.qos_profile.depth == 3


def test_robots_in_one_domain_do_not_hear_each_other(graph: Graph, checkpoint: Path) -> None:
    """The same names in two namespaces."""
    robots, nodes = [], []
    for namespace in ("one", "two"):
        robots.append(graph.add(Robot(graph.context, namespace)))
        overrides = [Parameter("checkpoint", value=str(checkpoint))]
        nodes.append(graph.add(Sam2Node(context=graph.context, namespace=namespace, parameter_overrides=overrides)))
    one, two = robots
    for robot in robots:
        robot.wait_until_connected()
    assert [node.get_fully_qualified_name() for node in nodes] == ["/one/sam2", "/two/sam2"]
    one.show(0)
    assert one.prompt(BOX)[0].object_id == 1
    two.show(5)
    assert two.call(srv.ListObjects, "sam2/list").objects == [] and not two.results
    assert change(two, max_objects=3).successful and nodes[0].get_parameter("max_objects").value == 16
    two.prompt(CLICK, CLICK)
    assert [masklet.object_id for masklet in one.show(1).masklets] == [1]
    assert [masklet.object_id for masklet in two.show(6).masklets] == [1, 2]
    assert [message.header for message in one.masklets] == [header_of(0), header_of(1)]
    assert [message.header for message in two.masklets] == [header_of(5), header_of(6)]
    assert all(node._namesakes.new_warning() is None for node in nodes), "these are no duplicates"
