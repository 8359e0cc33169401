"""Detections at a higher rate than the network can process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from detector import HERE, THERE
from diagnostic_msgs.msg import DiagnosticArray
from robot import CLICK, TIMEOUT, Graph, Robot, header_of, picture
from vision_detector import Detector

from sam2_ros import msg
from sam2_ros.ros.images import to_message
from sam2_ros.ros.waiting_prompt import MAX_WAITING
from sam2_ros.tracking.prompt import Box
from sam2_ros.tracking.tracker import Tracker


def test_fifty_detections_start_while_the_detector_continues(
    graph: Graph, robot: Robot, detector: Detector, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting boxes are applied; newer ones are dropped and counted."""
    node = graph.sam2(checkpoint=str(checkpoint), max_objects=50, detection_max_overlap=1.0, encode_ahead=False)
    diagnostics = robot.listen(DiagnosticArray, "/diagnostics")
    robot.wait_until_connected()
    detector.wait_until_connected()
    places = [(6.0 + 12 * (n % 10), 8.0 + 18 * (n // 10), 9.0, 12.0) for n in range(50)]
    boxes = [detector.detection(place, "cup", 0.5 + n / 200) for n, place in enumerate(places)]
    robot.show(0)
    prompt = Tracker.prompt
    free = threading.Semaphore(0)
    monkeypatch.setattr(Tracker, "prompt", lambda *arguments: free.acquire(timeout=TIMEOUT) and prompt(*arguments))
    detector.detect(0, *boxes)
    robot.wait_for(lambda: node.cameras[0].stream._prompts._applying, "for the first")
    for index in range(1, 4):  # before any could be applied
        detector.detect(0, *boxes)
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
    excess = 150 - (MAX_WAITING - 49)
    meter = node.cameras[0].stream._meter
    robot.wait_for(lambda: meter["detections in excess"] == excess, "for the last of them to be dropped")
    free.release(50)
    robot.wait_for(lambda: len(robot.results) == 50, "for the answers")
    assert all(result.accepted and result.header == header_of(0) for result in robot.results)
    assert robot.results[0].masklet.label == "cup"
    robot.wait_for(lambda: robot.masklets[-1].header == header_of(3), "for the last image")
    assert len(robot.masklets[-1].masklets) == 50

    def counts() -> dict[str, str]:
        return {pair.key: pair.value for pair in diagnostics[-1].status[0].values} if diagnostics else {}

    robot.wait_for(lambda: counts().get("detections accepted") == "50", "for the diagnostics")
    assert counts()["detections in excess"] == str(excess)


def test_duplicate_detections_of_one_image_start_one_object(
    graph: Graph, robot: Robot, detector: Detector, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with two detectors, and if the mask does not fill its box."""
    node = graph.sam2(checkpoint=str(checkpoint))
    robot.wait_until_connected()
    detector.wait_until_connected()
    robot.show(0)
    monkeypatch.setattr("sam2_ros.tracking.masklet.Masklet.box", Box(0, 0, 1, 1))
    for _ in range(3):
        detector.detect(0, detector.detection(HERE, "cup", 0.9))
    robot.wait_for(lambda: node.cameras[0].stream._meter["detections known"] == 2, "for the duplicates to be dropped")
    assert [result.object_id for result in robot.results] == [1]


def test_detector_with_another_clock_does_not_block_others(robot: Robot, detector: Detector, sam2) -> None:
    detector.wait_until_connected()
    robot.show(0)
    here, there = (detector.detection(box, "cup", 0.9) for box in (HERE, THERE))
    for _ in range(3):
        detector.detect(100_000, here, there)
    robot.next_results(0, 6)
    assert all("ahead of the newest" in result.message for result in robot.results)
    detector.detect(0, here)
    assert robot.next_results(6)[0].accepted


def test_excess_boxes_in_one_message_keep_the_best_scores(robot: Robot, detector: Detector, sam2) -> None:
    detector.wait_until_connected()
    places = [(3.0 * n, 50.0, 2.0, 2.0) for n in range(1, MAX_WAITING + 7)]
    detector.detect(9, *(detector.detection(place, "cup", 0.5 + n / 1000) for n, place in enumerate(places)))
    meter = sam2.cameras[0].stream._meter
    robot.wait_for(lambda: meter["detections in excess"] == 6, "for the worst to be dropped")
    waiting = [waiting.prompt.box.x for waiting in sam2.cameras[0].stream._prompts]
    assert len(waiting) == MAX_WAITING and waiting == sorted(waiting, reverse=True)


def test_user_prompts_take_priority_over_detections(robot: Robot, detector: Detector, sam2, monkeypatch) -> None:
    detector.wait_until_connected()
    robot.show(0)
    free = threading.Event()
    prompt = Tracker.prompt
    monkeypatch.setattr(Tracker, "prompt", lambda *arguments: free.wait(TIMEOUT) and prompt(*arguments))
    detector.detect(0, *(detector.detection((3.0 * n, 50.0, 2.0, 2.0), "cup", 0.9) for n in range(1, 30)))
    robot.wait_for(lambda: sam2.cameras[0].stream._prompts._applying, "for the first detection")
    robot.prompts.publish(msg.PromptArray(prompts=[CLICK]))
    robot.wait_for(
        lambda: any(waiting.proposal is None for waiting in sam2.cameras[0].stream._prompts), "for the prompt"
    )
    free.set()
    first, second = robot.next_results(0, 2)[:2]
    assert (first.masklet.label, second.masklet.label) == ("cup", "")
