"""The simulated detector, and the scores of what it leads to."""

from __future__ import annotations

import numpy as np
from detectors import LABELS, AtOnce, detections, score

from sam2_ros.data.clip import Clip
from sam2_ros.detection.policy import Detection
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Box

SIZE = (100, 160)


def mask(x: int, y: int, width: int, height: int) -> np.ndarray:
    pixels = np.zeros(SIZE, bool)
    pixels[y : y + height, x : x + width] = True
    return pixels


HERE, THERE, EMPTY = mask(10, 20, 30, 40), mask(100, 30, 40, 30), mask(60, 5, 20, 10)


def clip(images: int) -> Clip:
    frames = [np.zeros((*SIZE, 3), np.uint8)] * images
    return Clip("still", frames, (1, 2), [np.stack([HERE, THERE])] * images, fps=10.0)


def frame(**masks: np.ndarray) -> Frame:
    masklets = [Masklet(int(name[1:]), "", True, 0.9, 0.9, one) for name, one in masks.items()]
    return Frame(0, *SIZE, tuple(masklets))


def test_noise_is_as_described() -> None:
    found = list(detections(clip(1200), (1,)))
    assert [index for index, _ in found[:4]] == [0, 2, 4, 6] and len(found) == 600
    boxes = [one for _, several in found for one in several]
    near = [one for one in boxes if one.label == LABELS[1] and abs(one.box.x - 10) < 15 and abs(one.box.y - 20) < 15]
    assert abs(len(near) / 600 - 0.8) < 0.05
    assert abs(len(boxes) / 600 - (2 * 0.8 + 0.3)) < 0.05
    assert 0.05 < np.std([one.box.width for one in near]) / 30 < 0.15
    again = [one for _, several in detections(clip(1200), (1,)) for one in several]
    assert boxes == again


def test_perfect_masklets_score_all() -> None:
    result = score(clip(30), [frame(_3=HERE, _5=THERE)] * 30)
    assert (result.quality, result.later) == ([1, 1], [1, 1])
    assert (result.switches, result.duplicates, result.false) == (0, 0, 0)


def test_late_start_costs_only_the_images_before() -> None:
    result = score(clip(30), [frame()] * 15 + [frame(_3=HERE, _5=THERE)] * 15)
    assert result.quality == [0.5, 0.5] and result.later == [1, 1]


def test_switches_duplicates_and_false_objects() -> None:
    both, swapped = frame(_1=HERE, _2=THERE), frame(_1=THERE, _2=HERE)
    doubled, wrong = frame(_1=HERE, _2=THERE, _3=HERE), frame(_1=HERE, _2=THERE, _4=EMPTY)
    result = score(clip(4), [both, swapped, swapped, swapped])
    assert result.switches == 2 and result.quality == [0.75, 0.75]
    result = score(clip(4), [both, doubled, doubled, wrong])
    assert (result.switches, result.duplicates, result.false) == (0, 2, 1)


def test_at_once_starts_what_overlaps_nothing() -> None:
    boxes = [Detection(Box(*corner, 30, 40)) for corner in ((10, 20), (12, 20), (60, 20), (100, 30))]
    decision = AtOnce().decide(boxes, frame(_2=THERE), set(), DetectionSettings())
    assert [action.detection for action in decision.actions] == [boxes[0], boxes[2]]
