"""Detections at a higher rate than the network can process."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pytest
from detector import HERE, THERE, detection, message
from diagnostic_msgs.msg import DiagnosticArray
from robot import CLICK, TIMEOUT, Graph, Robot, header_of, picture, stamp_of

from sam2_ros import msg
from sam2_ros.ros.images import to_message
from sam2_ros.ros.tracked_camera import TrackedCamera
from sam2_ros.ros.waiting_prompt import MAX_WAITING
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.prompt import Box
from sam2_ros.tracking.tracker import Tracker

START_AT_ONCE = {"detections_do": "start", "detection_confirm": 1, "detection_confirm_within": 1}


@pytest.fixture
def at_once(graph: Graph, robot: Robot, checkpoint: Path) -> TrackedCamera:
    """The camera of an active node in which each new box starts an object at once."""
    node = graph.sam2(checkpoint=str(checkpoint), **START_AT_ONCE)
    robot.wait_until_connected()
    return node.cameras[0]


def test_fifty_detections_start_while_the_detector_continues(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are applied, and those that come again before that start nothing."""
    node = graph.sam2(
        checkpoint=str(checkpoint), max_objects=50, detection_max_overlap=1.0, encode_ahead=False, **START_AT_ONCE
    )
    diagnostics = robot.listen(DiagnosticArray, "/diagnostics")
    robot.wait_until_connected()
    boxes = [detection((6.0 + 12 * (n % 10), 8.0 + 18 * (n // 10), 9.0, 12.0), 0.5 + n / 200) for n in range(50)]
    robot.show(0)
    prompt = Tracker.prompt
    free, first = threading.Semaphore(0), threading.Event()

    def held(*arguments: object) -> Masklet:
        first.set()
        free.acquire(timeout=TIMEOUT)
        return prompt(*arguments)

    monkeypatch.setattr(Tracker, "prompt", held)
    node.cameras[0].inbox.put_detections(message(0, *boxes))
    assert first.wait(TIMEOUT)
    for index in range(1, 4):  # before any could be applied
        node.cameras[0].inbox.put_detections(message(0, *boxes))
        robot.camera.publish(to_message(picture(index), "rgb8", header_of(index)))
    free.release(50)
    robot.wait_for(lambda: len(robot.results) == 50, "for the answers")
    assert all(result.accepted and result.header == header_of(0) for result in robot.results)
    assert robot.results[0].masklet.label == "class 0"
    robot.wait_for(lambda: robot.masklets[-1].header == header_of(3), "for the last image")
    assert len(robot.masklets[-1].masklets) == 50

    def counts() -> dict[str, str]:
        return {pair.key: pair.value for pair in diagnostics[-1].status[0].values} if diagnostics else {}

    robot.wait_for(lambda: counts().get("detections accepted") == "50", "for the diagnostics")
    kinds = ("known", "agreeing", "disagreeing")
    robot.wait_for(lambda: sum(int(counts()[f"detections {kind}"]) for kind in kinds) == 150, "for the others")
    assert len(robot.results) == 50


def test_duplicate_detections_of_one_image_start_one_object(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with two detectors, and if the mask does not fill its box."""
    node = graph.sam2(checkpoint=str(checkpoint), **START_AT_ONCE)
    robot.wait_until_connected()
    robot.show(0)
    monkeypatch.setattr("sam2_ros.tracking.masklet.Masklet.box", Box(0, 0, 1, 1))
    for _ in range(3):
        node.cameras[0].inbox.put_detections(message(0, detection(HERE, 0.9)))
    meter = node.cameras[0].stream._meter
    kinds = ("known", "agreeing", "disagreeing")  # decided before or after the first has started its object
    robot.wait_for(lambda: sum(meter[f"detections {kind}"] for kind in kinds) == 2, "for the duplicates to be dropped")
    assert [result.object_id for result in robot.results] == [1]


def test_detector_with_another_clock_does_not_block_others(robot: Robot, at_once: TrackedCamera) -> None:
    """Its messages are refused, each with one answer."""
    robot.show(0)
    for _ in range(3):
        at_once.inbox.put_detections(message(100_000, detection(HERE, 0.9), detection(THERE, 0.9)))
    robot.next_results(0, 3)
    assert all("ahead of the newest" in result.message for result in robot.results)
    at_once.inbox.put_detections(message(0, detection(HERE, 0.9)))
    assert robot.next_results(3)[0].accepted


def test_messages_that_wait_for_images_are_limited(robot: Robot, at_once: TrackedCamera) -> None:
    """Those for the nearest images stay."""
    for index in range(MAX_WAITING + 6):
        at_once.inbox.put_detections(message(index, detection(HERE, 0.9), detection(THERE, 0.9)))
    waiting = [waiting.stamp for waiting in at_once.stream._prompts]
    assert waiting == [stamp_of(index) for index in range(MAX_WAITING)]
    assert at_once.stream._meter["detections in excess"] == 12
    robot.show(0)
    assert [result.object_id for result in robot.next_results(0, 2)] == [1, 2]


def test_ten_thousand_hostile_boxes_a_message(robot: Robot, at_once: TrackedCamera) -> None:
    rng = np.random.default_rng(4)
    odd = [math.nan, math.inf, -math.inf, 1e300, -1e300, 0.0, -5.0, 1e-300]
    boxes = [detection(tuple(map(float, rng.choice(odd, 4))), 0.9, theta=float(rng.choice(odd))) for _ in range(10_000)]
    whole = detection((64.0, 48.0, 1e6, 1e6), 0.95)
    for index in range(3):
        robot.show(index)
        at_once.inbox.put_detections(message(index, whole, *boxes, detection(HERE, 0.99)))
    robot.wait_for(lambda: at_once.stream._meter["detections in excess"] >= 3 * 9_900, "for the messages")
    assert robot.prompt(CLICK)[0].accepted
    robot.show(3)
    assert 1 <= sum(result.accepted for result in robot.results) <= 3
    assert at_once.stream._meter["detections unusable"] > 100 and at_once.stream._meter["failed"] == 0


def test_user_prompts_take_priority_over_detections(robot: Robot, at_once: TrackedCamera, monkeypatch) -> None:
    robot.show(0)
    free, first = threading.Event(), threading.Event()
    prompt = Tracker.prompt

    def held(*arguments: object) -> Masklet:
        first.set()
        free.wait(TIMEOUT)
        return prompt(*arguments)

    monkeypatch.setattr(Tracker, "prompt", held)
    boxes = [detection((4.0 * n, 50.0, 2.0, 2.0), 0.9) for n in range(1, 30)]
    at_once.inbox.put_detections(message(0, *boxes))
    assert first.wait(TIMEOUT)
    robot.prompts.publish(msg.PromptArray(prompts=[CLICK]))
    robot.wait_for(lambda: any(waiting.proposal is None for waiting in at_once.stream._prompts), "for the prompt")
    free.set()
    answers = robot.next_results(0, 2)[:2]
    assert [answer.masklet.label for answer in answers] == ["class 0", ""]
