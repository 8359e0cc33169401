"""A detector proposes objects. Needs vision_msgs, which a robot has and PyPI has not."""

from __future__ import annotations

from pathlib import Path

import pytest
from robot import Graph, Robot, header_of
from sensor_msgs.msg import RegionOfInterest

vision = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not on PyPI: run this on a robot")


def detection(x: float, y: float, width: float, height: float, label: str, score: float, theta: float = 0.0):
    box = vision.BoundingBox2D(size_x=float(width), size_y=float(height))
    box.center.position.x, box.center.position.y, box.center.theta = x, y, theta
    guesses = [("nothing", score / 2), (label, score)]
    results = [
        vision.ObjectHypothesisWithPose(hypothesis=vision.ObjectHypothesis(class_id=name, score=value))
        for name, value in guesses
    ]
    return vision.Detection2D(bbox=box, results=results)


def around(box: RegionOfInterest):
    return detection(box.x_offset + box.width / 2, box.y_offset + box.height / 2, box.width, box.height, "cup", 0.9)


CUP = (29.0, 36.0, 26.0, 24.0)


def test_each_detection_starts_one_object(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), max_objects=3)
    detector = robot.create_publisher(vision.Detection2DArray, "detections", 10)
    robot.wait_for(detector.get_subscription_count, "for the node")
    robot.wait_until_connected()
    robot.show(0)

    def detect(index: int, *detections) -> None:
        detector.publish(vision.Detection2DArray(header=header_of(index), detections=list(detections)))

    unsure = detection(100.0, 20.0, 20.0, 20.0, "plate", 0.4)
    empty = vision.Detection2D()
    broken = detection(float("nan"), 20.0, 20.0, 20.0, "plate", 0.9, float("inf"))
    detect(0, unsure, empty, broken, detection(*CUP, "cup", 0.9))
    refused, accepted = robot.next_results(0, 2)
    assert not refused.accepted and "finite" in refused.message
    assert accepted.accepted and accepted.masklet.label == "cup" and accepted.header == header_of(0)

    # A repeated detection, even a late one, is no new object; one elsewhere is.
    detect(0, around(accepted.masklet.box))
    detect(1, around(robot.show(1).masklets[0].box))
    detect(1, detection(120.0, 90.0, 12.0, 10.0, "fork", 0.7), detection(6.0, 90.0, 12.0, 10.0, "fork", 0.7, 3.1))
    later = robot.next_results(2, 2)
    assert [result.object_id for result in later] == [2, 3]
    detect(1, detection(120.0, 6.0, 12.0, 10.0, "one too many", 0.9))
    assert [masklet.label for masklet in robot.show(2).masklets] == ["cup", "fork", "fork"]
    robot.wait_for(lambda: not node.cameras[0].stream._prompts, "for the last proposal to be dropped")
    assert len(robot.results) == 4
