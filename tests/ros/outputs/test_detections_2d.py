"""Tracked objects as vision_msgs/Detection2DArray, received by another node."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from rclpy.lifecycle import LifecycleNode
from robot import Robot, header_of, picture
from small_frames import frame, masklet

from sam2_ros.ros.outputs.detections_2d import Detections2DOutput
from sam2_ros.ros.topics import Topics

CUP, HAND = masklet(3, 10, 20, 31, 8, "cup"), masklet(65536, 50, 0, 1, 1)


def test_visible_objects_are_detections(vision: ModuleType, node: LifecycleNode, robot: Robot) -> None:
    output = Detections2DOutput(node, Topics())
    received = robot.listen(vision.Detection2DArray, "sam2/detections_2d")
    node.trigger_configure()
    node.trigger_activate()
    robot.wait_for(output._publisher.get_subscription_count, "for the subscription")
    output.publish(frame(CUP, masklet(4, 0, 0, 9, 9, "absent", present=False), HAND), header_of(0), picture(0))
    output.publish(frame(), header_of(1), picture(1))
    robot.wait_for(lambda: len(received) == 2, "for the detections")

    cup, hand = received[0].detections
    assert received[0].header == cup.header == hand.header == header_of(0)
    assert (cup.id, hand.id) == ("3", "65536")
    (result,) = cup.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("cup", 0.75)
    centre = cup.bbox.center
    assert (centre.position.x, centre.position.y, centre.theta) == (25.5, 24.0, 0.0)
    assert (cup.bbox.size_x, cup.bbox.size_y) == (31.0, 8.0)
    assert received[1].header == header_of(1) and not received[1].detections, "one for every image"


def test_nothing_is_computed_while_nobody_listens(
    vision: ModuleType, node: LifecycleNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Detections2DOutput(node, Topics("front"))
    monkeypatch.setattr(vision, "Detection2DArray", None)
    output.publish(frame(CUP), header_of(0), picture(0))
    assert node.count_publishers("sam2/front/detections_2d") == 1


def test_no_topic_without_vision_msgs(node: LifecycleNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vision_msgs", None)
    Detections2DOutput(node, Topics()).publish(frame(CUP), header_of(0), picture(0))
    assert node.count_publishers("sam2/detections_2d") == 0
