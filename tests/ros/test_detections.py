"""Tracked objects that come from a detector."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sam2_ros.detection.policy import Detection
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.ros.detections import Detections
from sam2_ros.ros.waiting_prompt import Proposal
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Box, Prompt

SECOND = 1_000_000_000
BOX = Box(10, 20, 8, 6)
PROMPT = Prompt(box=BOX)
NOW = DetectionSettings(confirm=1, confirm_within=1)


def masklet(object_id: int, present: bool, box: Box = BOX) -> Masklet:
    mask = np.zeros((60, 80), bool)
    mask[int(box.y) : int(box.y + box.height), int(box.x) : int(box.x + box.width)] = present
    return Masklet(object_id, "", present, 0.9 * present, 0.9, mask)


def frame(seconds: float, *masklets: Masklet) -> Frame:
    return Frame(round(seconds * SECOND), 60, 80, masklets)


def expired(detections: Detections, seconds: float, *masklets: Masklet) -> list[tuple[int, float]]:
    return [(masklet.object_id, absent) for masklet, absent in detections.expire(frame(seconds, *masklets))]


def test_object_absent_longer_than_forget_after_expires_once() -> None:
    detections = Detections()
    detections.add(1, Proposal(0.5, forget_after=2.0), PROMPT, 0)
    detections.add(2, Proposal(0.5), PROMPT, 0)
    detections.add(3, Proposal(0.5, forget_after=2.0), PROMPT, 0)
    assert expired(detections, 1, masklet(1, True), masklet(2, True), masklet(3, True)) == []
    absent = masklet(1, False), masklet(2, False), masklet(3, True)
    assert expired(detections, 3, *absent) == []
    assert expired(detections, 3.5, *absent) == [(1, 2.5)]
    assert expired(detections, 1000, *absent) == [] and 2 in detections


def test_user_prompted_object_does_not_expire() -> None:
    detections = Detections()
    detections.add(1, Proposal(0.5, forget_after=2.0), PROMPT, 0)
    detections.discard(1, 0)
    detections.discard(7, 0)
    assert expired(detections, 100, masklet(1, False)) == []


def test_removed_object_is_discarded() -> None:
    detections = Detections()
    detections.add(1, Proposal(0.5), PROMPT, 0)
    assert expired(detections, 1) == [] and 1 not in detections


def test_wrong_stamps_do_not_count_as_absence() -> None:
    detections = Detections()
    detections.add(1, Proposal(0.5, forget_after=2.0), PROMPT, 0)
    detections.shift(3600 * SECOND)
    assert expired(detections, 3601, masklet(1, False)) == []
    detections.limit(5 * SECOND)
    assert expired(detections, 6, masklet(1, False)) == []
    assert expired(detections, 8, masklet(1, False)) == [(1, 3.0)]


def test_tracked_object_is_recognised_by_mask_or_detected_box() -> None:
    detections, elsewhere = Detections(), Box(50, 40, 8, 6)
    detections.add(1, Proposal(0.5), Prompt(box=elsewhere), 5 * SECOND)
    present_frame, absent = frame(5, masklet(1, True)), frame(6, masklet(1, False))
    assert detections.is_tracked(BOX, present_frame, 0.5) and detections.is_tracked(elsewhere, present_frame, 0.5)
    assert not detections.is_tracked(BOX, present_frame, 1.0)
    assert detections.is_tracked(elsewhere, frame(4.5), 0.5), "as on a frame before"
    assert not detections.is_tracked(BOX, absent, 0.5) and not detections.is_tracked(elsewhere, absent, 0.5)
    detections.clear()
    assert not detections.is_tracked(elsewhere, present_frame, 0.5)


def test_boxes_are_cut_to_the_image_or_left_out() -> None:
    boxes = Box(70, 50, 40, 40), Box(math.nan, 0, 5, 5), Box(5, 5, -4, 9), Box(200, 5, 9, 9), Box(0, 0, 1e300, math.inf)
    decision = Detections().decide([Detection(box, "cup") for box in boxes], frame(1), NOW)
    assert [action.detection for action in decision.actions] == [Detection(Box(70, 50, 10, 10), "cup")]
    assert decision.counts == {"unusable": 4}


def test_corrected_object_of_a_person_stays_a_persons() -> None:
    detections, settings = Detections(), replace(NOW, correct_all=True)
    detections.discard(1, 0)
    (action,) = detections.decide([Detection(BOX, "")], frame(5, masklet(1, False)), settings).actions
    assert (action.kind, action.object_id) == ("recover", 1)
    detections.add(1, Proposal(0.5, forget_after=2.0, corrects_all=True), Prompt(object_id=1, box=BOX), 5 * SECOND)
    assert 1 not in detections and expired(detections, 100, masklet(1, False)) == []


def test_correction_starts_the_absence_anew() -> None:
    detections = Detections()
    detections.add(1, Proposal(0.5, forget_after=2.0), PROMPT, 0)
    detections.add(1, Proposal(0.5, forget_after=2.0), Prompt(object_id=1, box=BOX), 4 * SECOND)
    assert expired(detections, 5, masklet(1, False)) == [] and expired(detections, 7, masklet(1, False)) == [(1, 3.0)]


def test_changed_stamps_are_no_reason_to_start_again() -> None:
    detections = Detections()
    detections.add(1, Proposal(0.5), PROMPT, 500 * SECOND)
    detections.restamped()
    assert detections.decide([Detection(BOX, "")], frame(5, masklet(1, True)), NOW).actions == []


def test_objects_that_are_gone_leave_nothing_behind_without_a_detector() -> None:
    detections = Detections()
    for object_id in range(1, 200):
        detections.discard(object_id, object_id)  # a person's
        detections.expire(frame(object_id, masklet(object_id, True)))
    assert len(detections._policy._objects) == 1
