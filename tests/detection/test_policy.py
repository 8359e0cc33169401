"""The policy for detections, on frames made by hand: a detector frame is 200 ms after the one before it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sam2_ros.detection.policy import MAX_BOXES, MAX_CANDIDATES, Action, Decision, Detection, DetectionPolicy
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Box

SIZE = (240, 320)
PERIOD = 200_000_000  # ns
HERE, THERE, ELSEWHERE = Box(20, 30, 40, 30), Box(200, 40, 40, 40), Box(110, 150, 50, 40)
NOW = DetectionSettings(confirm=1, confirm_within=1)
CUP = "cup"


def shifted(box: Box, x: float, y: float = 0.0) -> Box:
    return Box(box.x + x, box.y + y, box.width, box.height)


def masklet(object_id: int, box: Box | None, label: str = CUP) -> Masklet:
    mask = np.zeros(SIZE, bool)
    if box is not None:
        x, y, width, height = map(round, box)
        mask[y : y + height, x : x + width] = True
    present = bool(mask.any())
    return Masklet(object_id, label, present, 0.9 * present, 0.9, mask)


class Scene:
    """A policy with masklets that stay where they are put; actions are carried out as the tracker would."""

    def __init__(self, settings: DetectionSettings | None = None) -> None:
        self.policy = DetectionPolicy()
        self.settings = settings or DetectionSettings()
        self.masklets: dict[int, Masklet] = {}
        self.own: set[int] = set()
        self.number = 0

    def add(self, object_id: int, box: Box | None, label: str = CUP, own: bool = True) -> None:
        """An object that has been tracked for long."""
        self.masklets[object_id] = masklet(object_id, box, label)
        self.own |= {object_id} if own else set()

    def frame(self, number: int | None = None) -> Frame:
        stamp = (self.number if number is None else number) * PERIOD
        return Frame(stamp, *SIZE, tuple(self.masklets[object_id] for object_id in sorted(self.masklets)))

    def detect(self, *boxes: Box, label: str = CUP, carry_out: bool = True) -> list[Action]:
        """The actions on the next detector frame."""
        return self.send([Detection(box, label) for box in boxes], carry_out).actions

    def send(self, detections: Sequence[Detection], carry_out: bool = True, number: int | None = None) -> Decision:
        self.number += number is None
        frame = self.frame(number)
        decision = self.policy.decide(detections, frame, self.own, self.settings)
        for action in decision.actions if carry_out else ():
            if action.detection is None:
                del self.masklets[action.object_id]
                continue
            object_id = action.object_id or max(self.masklets, default=0) + 1
            self.add(object_id, action.detection.box, action.detection.label)
            self.policy.prompted(object_id, frame.stamp, action.detection.box, action.detection.label)
        return decision


def kinds(actions: Sequence[Action]) -> list[tuple[str, int]]:
    return [(action.kind, action.object_id) for action in actions]


START = [("start", 0)]


# Starting


def test_new_thing_starts_when_it_was_seen_in_two_of_three_detector_frames() -> None:
    scene = Scene()
    assert scene.detect(HERE) == scene.detect() == []
    assert kinds(scene.detect(shifted(HERE, 4))) == START
    assert scene.masklets[1].box == shifted(HERE, 4), "the newest box counts"
    assert scene.detect(shifted(HERE, 6)) == []


def test_thing_that_is_seen_too_rarely_does_not_start() -> None:
    scene = Scene()
    for _ in range(5):
        assert scene.detect(HERE) == scene.detect() == scene.detect() == []


def test_false_boxes_at_random_places_do_not_start() -> None:
    """0.3 of them a detector frame: those that start by chance are few."""
    scene, rng = Scene(), np.random.default_rng(3)
    boxes = [[Box(*rng.uniform(0, (280, 200)), 30, 30) for _ in range(rng.poisson(0.3))] for _ in range(600)]
    started = sum(len(scene.detect(*found, carry_out=False)) for found in boxes)
    assert started < 0.04 * sum(map(len, boxes))


def test_moving_thing_is_one_candidate() -> None:
    """It moves by three quarters of its size between two detector frames."""
    scene = Scene(DetectionSettings(confirm=4, confirm_within=4))
    boxes = [shifted(Box(10, 100, 40, 40), 30 * number) for number in range(4)]
    assert [kinds(scene.detect(box)) for box in boxes] == [[], [], [], START]


def test_at_once_with_one_of_one() -> None:
    scene = Scene(NOW)
    assert kinds(scene.detect(HERE, THERE)) == START * 2


@pytest.mark.parametrize("label", [CUP, "bowl", ""])
def test_nothing_starts_where_a_masklet_is(label: str) -> None:
    scene = Scene(NOW)
    scene.add(1, HERE)
    assert scene.detect(shifted(HERE, 5), label=label) == []


def test_part_of_an_object_of_its_class_does_not_start() -> None:
    scene = Scene(NOW)
    scene.add(1, Box(20, 20, 200, 200))
    part = Box(60, 60, 40, 40)
    assert scene.detect(Box(20, 20, 200, 200), part) == []
    assert kinds(scene.detect(part, label="handle")) == START, "a thing of another class on it does"


def test_neighbours_that_overlap_both_start() -> None:
    scene = Scene()
    scene.add(1, HERE, label="bowl")
    beside = shifted(HERE, 18)  # IoU 0.38
    for _ in range(3):
        scene.send([Detection(HERE, "bowl"), Detection(beside, CUP)])
    assert list(scene.masklets) == [1, 2]
    scene.policy.clear()
    del scene.masklets[2]
    assert [scene.detect(beside) for _ in range(4)] == [[]] * 4, "it may be the bowl, with another label"


def test_doubled_boxes_start_one_object() -> None:
    scene = Scene(NOW)
    assert kinds(scene.detect(HERE, shifted(HERE, 3), shifted(HERE, 2))) == START
    assert scene.detect(shifted(HERE, 3), HERE) == []


def test_two_detectors_of_one_image_count_once() -> None:
    scene = Scene()
    assert scene.detect(HERE) == []
    assert not scene.send([Detection(HERE, CUP)], number=scene.number).actions
    assert kinds(scene.detect(HERE)) == START


def test_correct_starts_nothing() -> None:
    scene = Scene(replace(NOW, do="correct"))
    decision = scene.send([Detection(HERE, CUP)])
    assert not decision.actions and decision.counts == {"new": 1}


def test_late_message_does_not_start_what_a_later_one_has_started() -> None:
    """Of two detectors, the slower one's messages are always older."""
    scene = Scene(NOW)
    scene.number = 5
    assert kinds(scene.detect(HERE)) == START
    scene.masklets[1] = masklet(1, None)  # on frames before the prompt it has none
    decision = scene.send([Detection(shifted(HERE, 3), CUP)], number=4)
    assert not decision.actions


# Correcting


def test_drifted_masklet_is_corrected_after_three_disagreements_in_a_row() -> None:
    scene = Scene()
    scene.add(1, HERE)
    assert scene.detect(HERE) == []
    scene.add(1, shifted(HERE, 30))  # IoU 0.14
    assert scene.detect(HERE) == scene.detect(HERE) == []
    (action,) = scene.detect(HERE)
    assert (action.kind, action.object_id) == ("correct", 1) and action.detection == Detection(HERE, CUP)
    assert scene.detect(HERE) == []


def test_hysteresis() -> None:
    """Between the thresholds, doubts stay; only above the higher one they are forgotten."""
    for iou_between, expected in ((True, ["correct"]), (False, [])):
        scene = Scene()
        scene.add(1, shifted(HERE, 30))
        scene.policy.prompted(1, 0, HERE, CUP)
        assert scene.detect(HERE) == scene.detect(HERE) == []
        scene.add(1, shifted(HERE, 9 if iou_between else 1))  # IoU 0.63 or 0.95
        assert scene.detect(HERE) == []
        scene.add(1, shifted(HERE, 30))
        assert [action.kind for action in scene.detect(HERE)] == expected


def test_missed_detection_neither_doubts_nor_forgives() -> None:
    scene = Scene()
    scene.add(1, shifted(HERE, 30))
    scene.policy.prompted(1, 0, HERE, CUP)
    assert [len(scene.detect(*boxes)) for boxes in ([HERE], [], [HERE], [], [HERE])] == [0, 0, 0, 0, 1]


def test_jittering_boxes_do_not_correct() -> None:
    scene, rng = Scene(), np.random.default_rng(5)
    scene.add(1, ELSEWHERE)
    for _ in range(200):
        amount = rng.uniform(0.05, 0.1) * rng.normal(size=4)
        size = np.array(ELSEWHERE[2:])
        box = Box(*np.array(ELSEWHERE[:2]) + amount[:2] * size, *size * (1 + amount[2:]))
        assert scene.detect(box) == []


def test_masklet_that_jumped_onto_another_object_goes_back() -> None:
    """Both keep their IDs, although the masklets are in one place."""
    scene = Scene()
    scene.add(1, HERE)
    scene.add(2, THERE)
    assert scene.detect(HERE, THERE) == []
    scene.add(1, shifted(THERE, 1))
    actions = [action for _ in range(3) for action in scene.detect(HERE, THERE)]
    assert kinds(actions) == [("correct", 1)] and actions[0].detection == Detection(HERE, CUP)


def test_correction_that_does_not_help_is_tried_less_and_less_often() -> None:
    """As for a mask that does not fill its box: a ring, a rake."""
    scene = Scene()
    scene.add(1, shifted(HERE, 30))
    scene.policy.prompted(1, 0, HERE, CUP)
    corrected = []
    for number in range(1, 100):
        if scene.detect(HERE, carry_out=False):
            corrected.append(number)
            scene.policy.prompted(1, number * PERIOD, HERE, CUP)
    assert corrected == [3, 9, 21, 45, 93]


@pytest.mark.parametrize("label", ["bowl", "Cup"])
def test_box_of_another_label_corrects_nothing(label: str) -> None:
    scene = Scene()
    scene.add(1, shifted(HERE, 20))
    scene.policy.prompted(1, 0, HERE, CUP)
    actions = [kind for _ in range(6) for kind, _ in kinds(scene.detect(HERE, label=label))]
    assert "correct" not in actions and "recover" not in actions


def test_start_corrects_nothing() -> None:
    scene = Scene(DetectionSettings(do="start"))
    scene.add(1, shifted(HERE, 25))
    scene.policy.prompted(1, 0, HERE, CUP)
    assert [action for _ in range(9) for action in scene.detect(HERE)] == []


def test_nothing_is_corrected_to_where_another_object_is() -> None:
    scene = Scene()
    scene.add(1, shifted(HERE, 30))
    scene.add(2, shifted(HERE, 8), label="bowl")
    scene.policy.prompted(1, 0, HERE, CUP)
    assert [action for _ in range(9) for action in scene.detect(HERE)] == []


# Absent objects


def test_absent_object_is_taken_up_again_with_its_id() -> None:
    scene = Scene()
    scene.add(1, THERE)
    scene.add(2, HERE)
    scene.detect(HERE, THERE)
    scene.add(1, None)
    scene.number += 20
    assert scene.detect(HERE, ELSEWHERE) == []
    assert kinds(scene.detect(HERE, ELSEWHERE)) == [("recover", 1)]
    assert scene.masklets[1].box == ELSEWHERE


def test_absent_object_of_another_label_stays_absent() -> None:
    scene = Scene(NOW)
    scene.add(1, None)
    assert kinds(scene.detect(HERE, label="bowl")) == START


def test_of_two_absent_objects_the_nearest_is_taken_up() -> None:
    scene = Scene(NOW)
    scene.add(1, HERE)
    scene.add(2, THERE)
    scene.detect(HERE, THERE)
    scene.add(1, None)
    scene.add(2, None)
    scene.number += 20
    assert kinds(scene.detect(shifted(THERE, 10), shifted(HERE, 60, 60))) == [("recover", 2), ("recover", 1)]


def test_absent_object_is_not_taken_up_where_another_is() -> None:
    scene = Scene(NOW)
    scene.add(1, None)
    scene.add(2, HERE)
    for _ in range(9):
        assert scene.detect(HERE, shifted(HERE, 4)) == []


def test_object_that_is_hidden_while_detected_is_taken_up_after_two_detections() -> None:
    scene = Scene()
    scene.add(1, HERE)
    scene.detect(HERE)
    scene.add(1, None)
    assert [kinds(scene.detect(HERE)) for _ in range(2)] == [[], [("recover", 1)]]


# Duplicates


def test_masklet_that_stays_on_another_one_is_removed() -> None:
    scene = Scene()
    scene.add(1, HERE)
    scene.add(2, THERE)
    scene.detect(HERE, THERE)
    scene.add(2, shifted(HERE, 1))
    scene.number += 20
    actions = [action for _ in range(6) for action in scene.detect(HERE)]
    assert kinds(actions) == [("remove", 2)] and list(scene.masklets) == [1]


def test_masklet_on_another_one_is_taken_up_where_its_thing_appears() -> None:
    scene = Scene()
    scene.add(1, HERE)
    scene.add(2, THERE)
    scene.detect(HERE, THERE)
    scene.add(2, shifted(HERE, 1))
    scene.number += 20
    actions = [action for _ in range(4) for action in scene.detect(HERE)]
    assert actions == []
    assert [kinds(scene.detect(HERE, ELSEWHERE)) for _ in range(2)] == [[], [("recover", 2)]]


def test_person_points_at_a_detected_object_and_the_persons_stays() -> None:
    scene = Scene()
    scene.add(1, HERE)
    scene.add(2, shifted(HERE, 1), label="", own=False)
    actions = [action for _ in range(6) for action in scene.detect(HERE)]
    assert kinds(actions) == [("remove", 1)]


def test_two_objects_that_are_both_detected_stay() -> None:
    scene = Scene()
    scene.add(1, HERE)
    scene.add(2, shifted(HERE, 3))
    assert [action for _ in range(12) for action in scene.detect(HERE, shifted(HERE, 3))] == []


# People's objects


@pytest.mark.parametrize("label", ["", CUP])
def test_persons_object_is_never_prompted_or_removed(label: str) -> None:
    scene = Scene()
    scene.add(1, shifted(HERE, 25), label=label, own=False)
    scene.add(2, None, label=label, own=False)
    scene.policy.prompted(1, 0)
    assert [action for _ in range(12) for action in scene.detect(HERE)] == []
    assert kinds([action for _ in range(3) for action in scene.detect(THERE)]) == START


def test_persons_object_is_corrected_if_that_is_allowed() -> None:
    scene = Scene(DetectionSettings(correct_all=True))
    scene.add(1, shifted(HERE, 25), label="", own=False)
    assert kinds([action for _ in range(3) for action in scene.detect(HERE)]) == [("correct", 1)]


# Robustness


def test_memory_is_bounded() -> None:
    policy, rng = DetectionPolicy(), np.random.default_rng(1)
    settings = DetectionSettings(confirm=50, confirm_within=50)
    for number in range(60):
        corners = rng.uniform(0, (300, 220), (MAX_BOXES + 5, 2))
        decision = policy.decide(
            [Detection(Box(*corner, 3, 3), str(number)) for corner in corners],
            Frame(number * PERIOD, *SIZE, ()),
            set(),
            settings,
        )
        assert decision.counts["in excess"] == 5
    assert len(policy._candidates) == MAX_CANDIDATES
    policy.decide([], Frame(61 * PERIOD, *SIZE, ()), set(), DetectionSettings())
    assert len(policy._candidates) <= 2 * MAX_BOXES


def test_full_message_beside_many_objects_is_decided_quickly() -> None:
    scene, rng = Scene(), np.random.default_rng(2)
    for object_id in range(1, 17):
        scene.add(object_id, Box(*rng.uniform(0, (280, 200)), 30, 30))
    detections = [Detection(Box(*rng.uniform(0, (280, 200)), 30, 30), CUP) for _ in range(MAX_BOXES)]
    scene.send(detections, carry_out=False)
    durations = []
    for _ in range(9):
        start = time.perf_counter()
        scene.send(detections, carry_out=False)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.25, "measured: 10 ms on a quiet core"


@pytest.mark.parametrize("box", [Box(0, 0, *SIZE[::-1]), Box(0, 0, 1, 1), Box(319, 239, 1, 1), Box(3.2, 4.7, 0.6, 0.6)])
def test_extreme_boxes_are_decided(box: Box) -> None:
    scene = Scene(NOW)
    scene.add(1, HERE)
    scene.add(2, None)
    for _ in range(5):
        assert all(
            math.isfinite(side) for action in scene.detect(box) if action.detection for side in action.detection.box
        )


def test_stamps_that_change_are_no_reason_to_correct() -> None:
    scene = Scene()
    scene.add(1, HERE)
    scene.detect(HERE, THERE)
    scene.policy.shift()
    scene.number -= 20
    assert scene.detect(HERE, THERE) == [] and kinds(scene.detect(HERE, THERE)) == START
    scene.policy.clear()
    assert scene.detect(ELSEWHERE) == []
