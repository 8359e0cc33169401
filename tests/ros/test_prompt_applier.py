"""The application of due prompts. Stamps are milliseconds here."""

from __future__ import annotations

import pytest
from robot import TIMEOUT
from std_msgs.msg import Header
from stream_parts import CLICK, MS, Session, header

from sam2_ros import msg
from sam2_ros.detection.policy import Action, Decision, Detection, DetectionPolicy
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.ros.prompt_answers import PromptAnswers
from sam2_ros.ros.prompt_applier import PromptApplier
from sam2_ros.ros.waiting_prompt import Proposal, Source, WaitingDetections, WaitingPrompt
from sam2_ros.tracking.prompt import Box, Prompt
from sam2_ros.tracking.tracker import Tracker

OURS, VIEWER = Source("ours"), Source("viewer", other_clock=True)
BOX = Prompt(box=Box(16, 24, 26, 24))


class Applier:
    def __init__(self) -> None:
        self.session, self.errors = Session(), []
        self.session.step(100, 110, 120)
        answers = PromptAnswers(self.session.meter, self.session.written.log, self, self.errors.append)
        self.applier = PromptApplier(self.session.session, answers, self.errors.append)

    def on_answer(self, result: msg.PromptResult, prompt: Prompt) -> None:
        pass

    def apply(
        self,
        prompt: Prompt,
        stamp: int = 0,
        source: Source = OURS,
        unstamped: bool = False,
        proposal: Proposal | None = None,
    ) -> tuple[bool, msg.PromptResult | None]:
        waiting = WaitingPrompt(Header(), prompt, stamp * MS, unstamped, 0.0, 1.0, source, proposal)
        changed = self.applier.apply(waiting)
        return changed, None if waiting.answer.cancelled() else waiting.answer.result(TIMEOUT)

    def decide(self, stamp: int, *detections: Detection, do: str = "both") -> tuple[list[WaitingPrompt], bool]:
        waiting = WaitingDetections(
            Header(), Prompt(), stamp * MS, False, 0.0, 1.0, OURS, Proposal(0.3),
            detections=detections, settings=DetectionSettings(do, confirm=1, confirm_within=1),
        )  # fmt: skip
        return self.applier.decide(waiting)


@pytest.fixture
def applier() -> Applier:
    return Applier()


def test_prompt_is_applied_to_the_image_with_its_stamp(applier: Applier) -> None:
    changed, result = applier.apply(CLICK, 110)
    assert changed and result.accepted and result.object_id == 1 and result.header == header(110)
    assert result.masklet.present and applier.session.session.snapshot.object_ids == {1}


@pytest.mark.parametrize(
    ("stamp", "source", "unstamped", "image"),
    [(0, OURS, True, 120), (130, OURS, True, 120), (9000, VIEWER, False, 120), (110, VIEWER, False, 110)],
)
def test_unstamped_or_foreign_stamp_means_the_newest_image(
    applier: Applier, stamp: int, source: Source, unstamped: bool, image: int
) -> None:
    assert applier.apply(CLICK, stamp, source, unstamped)[1].header == header(image)


def test_prompt_error_is_refused_without_side_effects(applier: Applier) -> None:
    changed, result = applier.apply(Prompt(), 110)
    assert not changed and not result.accepted and "empty" in result.message
    assert not applier.errors


def test_unexpected_error_is_reported_and_refused(applier: Applier, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(Tracker, "prompt", fail)
    changed, result = applier.apply(CLICK, 110)
    assert not changed and "ZeroDivisionError: oh" in result.message and len(applier.errors) == 1


def test_detection_is_dropped_if_tracked_already_or_beyond_max_objects(applier: Applier) -> None:
    meter, session = applier.session.meter, applier.session.session
    assert applier.apply(BOX, 120, proposal=Proposal(0.9))[0] and 1 in session.detections
    assert applier.apply(BOX, 120, proposal=Proposal(0.9)) == (False, None)
    assert meter["detections known"] == 1
    for _ in range(session.tracker.max_objects - 1):
        assert applier.apply(BOX, 120)[0]
    assert applier.apply(Prompt(box=Box(90, 70, 20, 16)), 120, proposal=Proposal(1.0)) == (False, None)
    assert meter["detections without room"] == 1


def test_user_prompt_turns_a_detection_into_a_permanent_object(applier: Applier) -> None:
    applier.apply(BOX, 120, proposal=Proposal(0.9))
    applier.apply(Prompt(object_id=1, box=BOX.box), 120)
    assert 1 not in applier.session.session.detections


def test_frame_cache_is_cleared_by_each_change(applier: Applier) -> None:
    """Frames are cached only until an object changes."""
    assert not applier.apply(BOX, 120, proposal=Proposal(1.0), source=VIEWER)[1].message
    assert applier.apply(BOX, 120, proposal=Proposal(0.3)) == (False, None)
    applier.session.tracker.reset()
    applier.session.session.reset()
    applier.applier.clear_frames()
    applier.session.step(200)
    assert applier.apply(CLICK, 200)[1].object_id == 1


def test_detections_of_a_message_become_prompts_for_its_image(applier: Applier) -> None:
    prompts, changed = applier.decide(110, Detection(BOX.box, "cup"), Detection(Box(1, 2, float("nan"), 4)))
    assert not changed and applier.session.meter["detections unusable"] == 1
    (waiting,) = prompts
    assert waiting.stamp == 110 * MS and waiting.prompt.label == "cup" and waiting.prompt.object_id == 0
    assert applier.applier.apply(waiting) and 1 in applier.session.session.detections
    applier.decide(110, Detection(BOX.box, "cup"))
    assert applier.session.meter["detections accepted"] == 1 and applier.session.meter["detections correcting"] == 0


def test_detections_outside_the_history_are_refused_once(applier: Applier) -> None:
    assert applier.decide(10, Detection(BOX.box), Detection(BOX.box)) == ([], False)
    assert applier.session.meter["detections refused"] == 1


def test_unexpected_error_of_the_policy_is_reported(applier: Applier, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(DetectionPolicy, "decide", fail)
    assert applier.decide(110, Detection(BOX.box)) == ([], False)
    assert len(applier.errors) == 1 and applier.session.meter["detections refused"] == 1


def test_duplicate_is_removed_at_once(applier: Applier, monkeypatch: pytest.MonkeyPatch) -> None:
    applier.apply(BOX, 120, proposal=Proposal(0.9))
    monkeypatch.setattr(DetectionPolicy, "decide", lambda *_: Decision([Action("remove", 1)]))
    assert applier.decide(120) == ([], True) and not applier.session.tracker.labels


def test_correction_forgets_the_memory_and_keeps_id_and_label(applier: Applier, monkeypatch) -> None:
    applier.apply(Prompt(box=BOX.box, label="cup"), 110, proposal=Proposal(0.9))
    there = Detection(Box(60, 50, 30, 20), "")
    monkeypatch.setattr(DetectionPolicy, "decide", lambda *_: Decision([Action("correct", 1, there)]))
    ((waiting,), _) = applier.decide(120)
    assert waiting.prompt.replace and waiting.prompt.label == ""
    assert applier.applier.apply(waiting) and applier.session.tracker.labels == {1: "cup"}
    assert applier.session.meter["detections correcting"] == 1
    # In the meantime, a person prompts the object, or it is removed.
    applier.apply(Prompt(object_id=1, box=BOX.box), 120)
    assert not applier.applier.apply(applier.decide(120)[0][0])
    applier.session.tracker.remove(1)
    assert not applier.applier.apply(applier.decide(120)[0][0])
    assert applier.session.meter["detections overtaken"] == 2
