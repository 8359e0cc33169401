"""Problems of a stream: what is counted becomes what is wrong, and what to do."""

from __future__ import annotations

import pytest

from sam2_ros.ros.meter import WINDOW, Meter
from sam2_ros.ros.problems import ERROR, EVENTS, OK, STALE, WARN, Problem, by_severity, recent_problems


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("event", EVENTS)
def test_each_event_is_a_problem_while_it_is_recent(event: str) -> None:
    clock = Clock()
    meter = Meter(clock)
    assert recent_problems(meter, lossless=False) == []
    meter.count(event, 3, "by 4 {braces} of a stranger")
    (problem,) = recent_problems(meter, lossless=False)
    assert problem.name == event and problem.level in (WARN, ERROR)
    assert "3" in problem.text or "{braces}" in problem.text
    clock.now += WINDOW
    assert recent_problems(meter, lossless=False) == []


def test_dropped_images_are_a_problem_only_if_none_may_be_lost() -> None:
    meter = Meter()
    meter.count("dropped", 7)
    assert recent_problems(meter, lossless=False) == []
    (problem,) = recent_problems(meter, lossless=True)
    assert problem.text.startswith("7 images are lost") and "queue_size" in problem.text


def test_dropped_detections_are_named_with_what_to_do() -> None:
    meter = Meter()
    meter.count("detections known", 5)
    assert recent_problems(meter, lossless=False) == []
    meter.count("detections without room", 2)
    (problem,) = recent_problems(meter, lossless=False)
    assert "2 without room" in problem.text and "max_objects" in problem.text


def test_errors_come_first_and_notes_last() -> None:
    levels = OK, WARN, STALE, ERROR, WARN
    problems = [Problem(str(number), level, "") for number, level in enumerate(levels)]
    assert [problem.name for problem in by_severity(problems)] == ["3", "2", "1", "4", "0"]
