"""A detector proposes objects."""

from __future__ import annotations

from pathlib import Path

from robot import Graph, Robot, header_of
from sensor_msgs.msg import RegionOfInterest
from vision_detector import Detector

CUP = (29.0, 36.0, 26.0, 24.0)


def around(box: RegionOfInterest) -> tuple[float, float, float, float]:
    return box.x_offset + box.width / 2, box.y_offset + box.height / 2, box.width, box.height


def test_each_detection_starts_one_object(graph: Graph, robot: Robot, checkpoint: Path, detector: Detector) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), max_objects=3)
    detector.wait_until_connected()
    robot.wait_until_connected()
    robot.show(0)
    detection, detect = detector.detection, detector.detect

    unsure = detection((100.0, 20.0, 20.0, 20.0), "plate", 0.4)
    empty = detector.messages.Detection2D()
    broken = detection((float("nan"), 20.0, 20.0, 20.0), "plate", 0.9, float("inf"))
    detect(0, unsure, empty, broken, detection(CUP, "cup", 0.9))
    refused, accepted = robot.next_results(0, 2)
    assert not refused.accepted and "finite" in refused.message
    assert accepted.accepted and accepted.masklet.label == "cup" and accepted.header == header_of(0)

    # A repeated detection, even a late one, is no new object; one elsewhere is.
    detect(0, detection(around(accepted.masklet.box), "cup", 0.9))
    detect(1, detection(around(robot.show(1).masklets[0].box), "cup", 0.9))
    forks = (120.0, 90.0, 12.0, 10.0), (6.0, 90.0, 12.0, 10.0)
    detect(1, detection(forks[0], "fork", 0.7), detection(forks[1], "fork", 0.7, 3.1))
    later = robot.next_results(2, 2)
    assert [result.object_id for result in later] == [2, 3]
    detect(1, detection((120.0, 6.0, 12.0, 10.0), "one too many", 0.9))
    assert [masklet.label for masklet in robot.show(2).masklets] == ["cup", "fork", "fork"]
    robot.wait_for(lambda: not node.cameras[0].stream._prompts, "for the last proposal to be dropped")
    assert len(robot.results) == 4
