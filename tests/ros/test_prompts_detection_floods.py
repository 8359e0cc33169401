"""A detector that proposes more than can be followed, or nonsense. vision_msgs is stood in for: it is not on PyPI."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from robot import CLICK, TIMEOUT, Graph, Robot, header_of, picture
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.ros.images import to_message
from sam2_ros.ros.losses import EVERY, Losses
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.prompts import from_detections
from sam2_ros.ros.waiting_prompt import MAX_WAITING
from sam2_ros.tracking.prompt import Box
from sam2_ros.tracking.tracker import Tracker

NAN, INF = math.nan, math.inf


def detection(box: tuple[float, float, float, float], *scores: float, theta: float = 0.0) -> SimpleNamespace:
    """A box by its centre and size; its hypotheses are named by their place."""
    x, y, width, height = box
    centre = SimpleNamespace(position=SimpleNamespace(x=x, y=y), theta=theta)
    results = [
        SimpleNamespace(hypothesis=SimpleNamespace(class_id=f"class {number}", score=score))
        for number, score in enumerate(scores)
    ]
    return SimpleNamespace(
        bbox=SimpleNamespace(center=centre, size_x=width, size_y=height), results=results, header=Header(), id=""
    )


def message(index: int, *detections: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(header=header_of(index), detections=list(detections))


HERE, THERE = (29.0, 36.0, 26.0, 24.0), (100.0, 70.0, 20.0, 16.0)


@pytest.mark.parametrize(
    "scores", [(NAN, 0.9), (0.9, NAN), (INF, 0.2, 0.9), (-INF, 0.9), (0.1, 0.9, 0.2), (NAN, -1.0, 0.9)]
)
def test_a_score_that_is_no_number_does_not_hide_a_good_one(scores: tuple[float, ...]) -> None:
    (prompt,), left_out = from_detections(message(0, detection(HERE, *scores)), 0.5)
    assert prompt.label == f"class {scores.index(0.9)}" and not left_out


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ((), "without score"),
        ((NAN,), "without score"),
        ((INF,), "without score"),
        ((0.4, -3.0), "unsure"),
        ((0.4, NAN), "unsure"),
    ],
)
def test_what_is_left_out_is_counted_by_why(scores: tuple[float, ...], why: str) -> None:
    prompts, left_out = from_detections(message(0, detection(HERE, *scores), detection(THERE, 0.6)), 0.5)
    assert [prompt.label for prompt in prompts] == ["class 0"] and left_out == {why: 1}


def test_scores_in_per_cent_count_as_sure() -> None:
    (prompt,), _ = from_detections(message(0, detection(HERE, 3.0, 87.0)), 0.5)
    assert prompt.label == "class 1"


def test_the_surest_come_first() -> None:
    boxes = [(10.0 + 30 * number, 10.0, 8.0, 8.0) for number in range(4)]
    scores = (0.6, 0.9, 0.7, 0.8)
    prompts, _ = from_detections(message(0, *map(detection, boxes, scores)), 0.5)
    assert [prompt.box.x for prompt in prompts] == [6 + 30 * number for number in (1, 3, 2, 0)]


def test_of_two_boxes_of_one_thing_the_surer_is_taken() -> None:
    shifted = (HERE[0] + 3, HERE[1] - 2, HERE[2], HERE[3])
    prompts, left_out = from_detections(
        message(0, detection(shifted, 0.6), detection(HERE, 0.9), detection(THERE, 0.8)), 0.5, max_overlap=0.3
    )
    assert [prompt.box for prompt in prompts] == [Box(16, 24, 26, 24), Box(90, 62, 20, 16)]
    assert left_out == {"doubled": 1}


@pytest.mark.parametrize("theta", [math.pi / 2, -math.pi / 2, math.pi, NAN, INF, 1e300])
@pytest.mark.parametrize("size", [(NAN, 5.0), (INF, 5.0), (0.0, 0.0), (-4.0, 5.0), (1e308, 1e308), (8.0, 4.0)])
def test_boxes_of_any_kind_become_prompts_of_which_the_tracker_decides(theta: float, size: tuple) -> None:
    odd = detection((50.0, 50.0, *size), 0.9, theta=theta)
    prompts, _ = from_detections(message(0, odd, detection(HERE, 0.6), odd), 0.5, 0.3)
    assert Box(16, 24, 26, 24) in [prompt.box for prompt in prompts]


def test_fifty_things_are_followed_while_their_detector_goes_on(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes that wait for the network have their turn; newer ones are dropped, which can be seen."""
    node = graph.sam2(checkpoint=str(checkpoint), max_objects=50, detection_max_overlap=1.0, encode_ahead=False)
    diagnostics = robot.listen(DiagnosticArray, "/diagnostics")
    robot.wait_until_connected()
    things = [detection((6.0 + 12 * (n % 10), 8.0 + 18 * (n // 10), 9.0, 12.0), 0.5 + n / 200) for n in range(50)]
    robot.show(0)
    prompt = Tracker.prompt
    free = threading.Semaphore(0)
    monkeypatch.setattr(Tracker, "prompt", lambda *arguments: free.acquire(timeout=TIMEOUT) and prompt(*arguments))
    node._on_detections(message(0, *things))
    robot.wait_for(lambda: node._stream._prompts._applying, "for the first")
    for index in range(1, 4):  # before a single one could be followed
        node._on_detections(message(0, *things))
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
    assert counts()["detections in excess"] == str(150 - (MAX_WAITING - 49))


def test_what_was_detected_twice_on_one_image_is_followed_once(
    graph: Graph, robot: Robot, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by two detectors, and where the mask does not fill its box."""
    node = graph.sam2(checkpoint=str(checkpoint))
    robot.wait_until_connected()
    robot.show(0)
    monkeypatch.setattr("sam2_ros.tracking.masklet.Masklet.box", Box(0, 0, 1, 1))
    for _ in range(3):
        node._on_detections(message(0, detection(HERE, 0.9)))
    robot.wait_for(lambda: node._meter["detections known"] == 2, "for the doubles to be dropped")
    assert [result.object_id for result in robot.results] == [1]


def test_a_detector_with_another_clock_takes_nobodys_place(robot: Robot, sam2) -> None:
    robot.show(0)
    for _ in range(3):
        sam2._on_detections(message(100_000, *[detection(HERE, 0.9)] * 1, detection(THERE, 0.9)))
    robot.next_results(0, 6)
    assert all("ahead of the newest" in result.message for result in robot.results)
    sam2._on_detections(message(0, detection(HERE, 0.9)))
    assert robot.next_results(6)[0].accepted


def test_of_a_message_with_more_boxes_than_can_wait_the_surest_are_kept(robot: Robot, sam2) -> None:
    things = [detection((3.0 * n, 50.0, 2.0, 2.0), 0.5 + n / 1000) for n in range(1, MAX_WAITING + 7)]
    sam2._on_detections(message(9, *things))
    waiting = [waiting.prompt.box.x for waiting in sam2._stream._prompts]
    assert len(waiting) == MAX_WAITING and waiting == sorted(waiting, reverse=True)
    assert sam2._meter["detections in excess"] == 6


def test_what_is_dropped_is_said_now_and_then() -> None:
    meter, now = Meter(), [100.0]
    losses = Losses(meter, lambda: now[0])
    meter.count("detections known", 5)
    assert losses.line() is None, "what is tracked already is no loss"
    meter.count("detections in excess", 1300)
    meter.count("detections without room", 36)
    said = losses.line()
    assert said is not None and "1300 in excess" in said and "36 without room (max_objects" in said
    meter.count("detections in excess")
    assert losses.line() is None
    now[0] += EVERY
    assert "1 in excess" in (losses.line() or "")
    now[0] += EVERY
    assert losses.line() is None


def test_a_prompt_of_somebody_goes_before_detections_that_wait(robot: Robot, sam2, monkeypatch) -> None:
    robot.show(0)
    free = threading.Event()
    prompt = Tracker.prompt
    monkeypatch.setattr(Tracker, "prompt", lambda *arguments: free.wait(TIMEOUT) and prompt(*arguments))
    sam2._on_detections(message(0, *[detection((3.0 * n, 50.0, 2.0, 2.0), 0.9) for n in range(1, 30)]))
    robot.wait_for(lambda: sam2._stream._prompts._applying, "for the first detection")
    robot.prompts.publish(msg.PromptArray(prompts=[CLICK]))
    robot.wait_for(lambda: any(one.proposal is None for one in sam2._stream._prompts), "for the prompt")
    free.set()
    first, second = robot.next_results(0, 2)[:2]
    assert (first.masklet.label, second.masklet.label) == ("class 0", "")
