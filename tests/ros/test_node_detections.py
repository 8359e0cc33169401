"""Detectors start objects, correct them, and take them up again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rclpy.parameter import Parameter
from robot import SIZE, Graph, Robot, header_of
from sensor_msgs.msg import RegionOfInterest
from vision_detector import Detector

from sam2_ros import msg
from sam2_ros.ros.node import Sam2Node
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.tracker import Tracker

CUP = (29.0, 36.0, 26.0, 24.0)


def around(box: RegionOfInterest) -> tuple[float, float, float, float]:
    return box.x_offset + box.width / 2, box.y_offset + box.height / 2, box.width, box.height


def near(box: RegionOfInterest, centre: tuple[float, float, float, float]) -> bool:
    return abs(box.x_offset + box.width / 2 - centre[0]) < 8 and abs(box.y_offset + box.height / 2 - centre[1]) < 8


def square_in(index: int) -> tuple[float, float, float, float]:
    """The square of the robot's picture: centre and size."""
    height, width = SIZE
    return (width / 8 + width / 3) / 2 + 2 * index, 0.375 * height, width / 3 - width / 8, height / 4


AT_ONCE = {"detection_confirm": 1, "detection_confirm_within": 1}


def test_each_detection_starts_one_object(graph: Graph, robot: Robot, checkpoint: Path, detector: Detector) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), max_objects=3, detections_do="start", **AT_ONCE)
    detector.wait_until_connected()
    robot.wait_until_connected()
    meter = node.cameras[0].stream._meter
    robot.show(0)
    detection, detect = detector.detection, detector.detect

    unsure = detection((100.0, 20.0, 20.0, 20.0), "plate", 0.4)
    empty = detector.messages.Detection2D()
    broken = detection((float("nan"), 20.0, 20.0, 20.0), "plate", 0.9, float("inf"))
    detect(0, unsure, empty, broken, detection(CUP, "cup", 0.9))
    (accepted,) = robot.next_results(0)
    assert accepted.accepted and accepted.masklet.label == "cup" and accepted.header == header_of(0)
    assert [meter[f"detections {reason}"] for reason in ("unsure", "without score", "unusable")] == [1, 1, 1]

    # A repeated detection, even a late one, is no new object; one elsewhere is.
    detect(0, detection(around(accepted.masklet.box), "cup", 0.9))
    detect(1, detection(around(robot.show(1).masklets[0].box), "cup", 0.9))
    forks = (120.0, 90.0, 12.0, 10.0), (6.0, 90.0, 12.0, 10.0)
    detect(1, detection(forks[0], "fork", 0.7), detection(forks[1], "fork", 0.7, 3.1))
    later = robot.next_results(1, 2)
    assert [result.object_id for result in later] == [2, 3]
    detect(1, detection((120.0, 6.0, 12.0, 10.0), "one too many", 0.9))
    robot.wait_for(lambda: meter["detections without room"], "for the last to be dropped")
    assert [masklet.label for masklet in robot.show(2).masklets] == ["cup", "fork", "fork"]
    assert len(robot.results) == 3


def test_object_starts_with_its_second_detection(
    vision: ModuleType, sam2: Sam2Node, robot: Robot, detector: Detector
) -> None:
    """By default. Also a message without boxes is one in which a thing was not seen."""
    detector.wait_until_connected()
    meter = sam2.cameras[0].stream._meter
    cup = detector.detection(CUP, "cup", 0.9)
    for index, boxes in enumerate(([cup], [], [], [cup])):
        robot.show(index)
        detector.detect(index, *boxes)
    robot.wait_for(lambda: meter["detections unconfirmed"] == 2, "for the fourth message")
    robot.show(4)
    detector.detect(4, cup)
    (started,) = robot.next_results(0)
    assert started.accepted and started.object_id == 1 and started.header == header_of(4)


def until_prompted(monkeypatch: pytest.MonkeyPatch, change: Callable[[Masklet], Masklet]) -> threading.Event:
    """Changes all masklets from now on, until an object is prompted; and again while the returned event is set."""
    changed = threading.Event()
    changed.set()
    masklets, prompt = Tracker._masklets, Tracker.prompt

    def altered(*arguments: object) -> list[Masklet]:
        found = masklets(*arguments)
        return [change(one) for one in found] if changed.is_set() else found

    def prompted(*arguments: object) -> Masklet:
        changed.clear()
        return prompt(*arguments)

    monkeypatch.setattr(Tracker, "_masklets", altered)
    monkeypatch.setattr(Tracker, "prompt", prompted)
    return changed


def test_absent_object_is_taken_up_again(
    graph: Graph, robot: Robot, checkpoint: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a thing with its label is, after two detections; a thing with another label is a new object."""
    graph.sam2(checkpoint=str(checkpoint))
    detector.wait_until_connected()
    robot.wait_until_connected()
    for index in (0, 1):
        robot.show(index)
        detector.detect(index, detector.detection(CUP, "cup", 0.9))
    assert robot.next_results(0)[0].object_id == 1
    until_prompted(monkeypatch, lambda one: replace(one, present=False, mask=np.zeros_like(one.mask)))
    for index in (2, 3):
        assert not any(masklet.present for masklet in robot.show(index).masklets)
        detector.detect(index, detector.detection((100.0, 70.0, 20.0, 16.0), "cup", 0.9))
    (back,) = robot.next_results(1)
    assert back.accepted and back.object_id == 1 and back.masklet.label == "cup" and back.header == header_of(3)
    for index in (4, 5):
        robot.show(index)
        detector.detect(index, detector.detection((12.0, 80.0, 14.0, 16.0), "fork", 0.9))
    assert robot.next_results(2)[0].object_id == 2


def test_drifted_object_is_corrected_and_the_persons_is_not(
    graph: Graph, robot: Robot, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the shipped model."""
    node = graph.sam2(detection_correct_after=2, **AT_ONCE)
    detector.wait_until_connected()
    robot.wait_until_connected()
    robot.show(0)
    square = square_in(0)
    detector.detect(0, detector.detection(square, "cup", 0.9))
    (started,) = robot.next_results(0)
    assert started.object_id == 1 and near(started.masklet.box, square)

    drifted = until_prompted(monkeypatch, lambda one: replace(one, mask=np.roll(one.mask, 60, 1)))
    meter = node.cameras[0].stream._meter
    for index in (1, 2):
        robot.show(index)
        detector.detect(index, detector.detection(square_in(index), "cup", 0.9))
    (corrected,) = robot.next_results(1)
    assert corrected.accepted and corrected.object_id == 1 and corrected.masklet.label == "cup"
    assert corrected.header == header_of(2) and meter["detections correcting"] == 1
    (masklet,) = robot.show(3).masklets
    assert masklet.present and near(masklet.box, square_in(3))

    # From a person's prompt on, the object is the person's.
    (result,) = robot.prompt(msg.Prompt(object_id=1, clicks=[msg.Click(x=40.0, y=36.0)]))
    assert result.accepted
    drifted.set()
    for index in range(4, 8):
        robot.show(index)
        detector.detect(index, detector.detection(square_in(index), "cup", 0.9))
    before = meter["detections disagreeing"]
    robot.wait_for(lambda: meter["detections disagreeing"] >= 4, "for all messages")
    assert before <= 4 and meter["detections correcting"] == 1 and len(robot.masklets[-1].masklets) == 1


def test_parameters_apply_at_once(vision: ModuleType, sam2: Sam2Node, robot: Robot, detector: Detector) -> None:
    detector.wait_until_connected()
    meter = sam2.cameras[0].stream._meter
    robot.show(0)

    def set_to(**values: object) -> None:
        results = sam2.set_parameters([Parameter(name, value=value) for name, value in values.items()])
        assert all(result.successful for result in results), results

    set_to(detections_do="correct", **AT_ONCE)
    detector.detect(0, detector.detection(CUP, "cup", 0.9))
    robot.wait_for(lambda: meter["detections new"] == 1, "for the message")
    set_to(detections_do="both")
    robot.show(1)
    detector.detect(1, detector.detection(CUP, "cup", 0.9))
    assert robot.next_results(0)[0].accepted
    (refused,) = sam2.set_parameters([Parameter("detections_do", value="everything")])
    assert not refused.successful and "start, correct, both" in refused.reason
