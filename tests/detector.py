"""Messages of a detector, in place of those of vision_msgs, which is not on PyPI."""

from __future__ import annotations

from types import SimpleNamespace

from robot import header_of
from std_msgs.msg import Header


def detection(box: tuple[float, float, float, float], *scores: float, theta: float = 0.0) -> SimpleNamespace:
    """A detection with a box of centre and size, and a hypothesis for each score, labelled by its index."""
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
