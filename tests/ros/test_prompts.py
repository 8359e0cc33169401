"""What is read from the messages of a detector."""

from __future__ import annotations

import math

import pytest
from detector import HERE, THERE, detection, message

from sam2_ros.detection.policy import MAX_BOXES
from sam2_ros.ros.prompts import from_detections
from sam2_ros.tracking.prompt import Box

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "scores", [(NAN, 0.9), (0.9, NAN), (INF, 0.2, 0.9), (-INF, 0.9), (0.1, 0.9, 0.2), (NAN, -1.0, 0.9)]
)
def test_nan_score_does_not_hide_a_valid_one(scores: tuple[float, ...]) -> None:
    (found,), left_out = from_detections(message(0, detection(HERE, *scores)), 0.5)
    assert found.label == f"class {scores.index(0.9)}" and found.score == 0.9 and not left_out


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
def test_left_out_detections_are_counted_by_reason(scores: tuple[float, ...], why: str) -> None:
    detections, left_out = from_detections(message(0, detection(HERE, *scores), detection(THERE, 0.6)), 0.5)
    assert [found.label for found in detections] == ["class 0"] and left_out == {why: 1}


def test_scores_in_percent_exceed_the_threshold() -> None:
    (found,), _ = from_detections(message(0, detection(HERE, 3.0, 87.0)), 0.5)
    assert found.label == "class 1"


def test_detections_are_sorted_by_score() -> None:
    boxes = [(10.0 + 30 * number, 10.0, 8.0, 8.0) for number in range(4)]
    scores = (0.6, 0.9, 0.7, 0.8)
    detections, _ = from_detections(message(0, *map(detection, boxes, scores)), 0.5)
    assert [found.box.x for found in detections] == [6 + 30 * number for number in (1, 3, 2, 0)]


def test_best_boxes_of_a_flood_are_read() -> None:
    boxes = [detection(HERE, (number % 500) / 500) for number in range(10_000)]
    detections, left_out = from_detections(message(0, *boxes), 0.5)
    assert len(detections) == MAX_BOXES and detections[0].score == detections[19].score == 499 / 500
    assert left_out == {"unsure": 5000, "in excess": 5000 - MAX_BOXES}


@pytest.mark.parametrize("theta", [math.pi / 2, -math.pi / 2, math.pi, NAN, INF, 1e300])
@pytest.mark.parametrize("size", [(NAN, 5.0), (INF, 5.0), (0.0, 0.0), (-4.0, 5.0), (1e308, 1e308), (8.0, 4.0)])
def test_degenerate_boxes_do_not_affect_others(theta: float, size: tuple) -> None:
    odd = detection((50.0, 50.0, *size), 0.9, theta=theta)
    detections, _ = from_detections(message(0, odd, detection(HERE, 0.6), odd), 0.5)
    assert Box(16, 24, 26, 24) in [found.box for found in detections]
