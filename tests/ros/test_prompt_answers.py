"""The answers to prompts: counted, logged and published."""

from __future__ import annotations

from std_msgs.msg import Header
from stream_parts import WrittenLog

from sam2_ros import msg
from sam2_ros.detection.policy import Detection
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.prompt_answers import PromptAnswers
from sam2_ros.ros.waiting_prompt import Proposal, Source, WaitingDetections, WaitingPrompt
from sam2_ros.tracking.prompt import Box, Prompt


def waiting(proposal: Proposal | None = None, object_id: int = 3) -> WaitingPrompt:
    prompt = Prompt(object_id=object_id)
    return WaitingPrompt(Header(frame_id="camera"), prompt, 5, False, 0.0, 1.0, Source(), proposal)


def detections(number: int) -> WaitingDetections:
    boxes = (Detection(Box(1, 2, 3, 4)),) * number
    return WaitingDetections(Header(), Prompt(), 5, False, 0.0, 1.0, Source(), Proposal(0.5), detections=boxes)


class Answers:
    def __init__(self, fails: bool = False) -> None:
        self.meter, self.written, self.fails = Meter(), WrittenLog(), fails
        self.published: list[msg.PromptResult] = []
        self.errors: list[Exception] = []
        self.answers = PromptAnswers(self.meter, self.written.log, self, self.errors.append)

    def on_answer(self, result: msg.PromptResult, prompt: Prompt) -> None:
        if self.fails:
            raise OSError("the network is down")
        self.published.append(result)


def test_accepted_prompt_is_counted_and_published_before_its_future_is_set() -> None:
    answers, prompt = Answers(), waiting()
    prompt.answer.add_done_callback(lambda future: answers.published.append("caller"))
    result = msg.PromptResult(accepted=True, object_id=3)
    answers.answers.send(prompt, result, prompt.prompt)
    assert answers.published == [result, "caller"] and prompt.answer.result(0) is result
    assert answers.meter["prompts accepted"] == 1 and not answers.written.lines


def test_refusal_has_a_reason_and_is_logged() -> None:
    for proposal, kind in ((None, "Prompt"), (Proposal(0.5), "Detection")):
        answers, prompt = Answers(), waiting(proposal)
        answers.answers.refuse(prompt, "too dark")
        result = prompt.answer.result(0)
        assert (result.accepted, result.message, result.object_id) == (False, "too dark", 3)
        assert result.header == prompt.header and answers.written.lines == [f"{kind} refused: too dark"]
        assert answers.meter[f"{kind.lower()}s refused"] == 1


def test_answer_reaches_the_caller_if_publishing_fails() -> None:
    answers, prompt = Answers(fails=True), waiting()
    answers.answers.refuse(prompt, "too dark")
    assert prompt.answer.done() and [str(error) for error in answers.errors] == ["the network is down"]


def test_detections_of_a_message_are_refused_together() -> None:
    for number, expected in ((0, 0), (1, 1), (3, 1)):
        answers, message = Answers(), detections(number)
        answers.answers.refuse(message, "the node is not active")
        assert len(answers.published) == expected and answers.meter["detections refused"] == expected
        assert message.answer.done()


def test_excess_detections_are_counted_each() -> None:
    answers, message = Answers(), detections(3)
    answers.answers.drop(message, "in excess")
    assert message.answer.cancelled() and answers.meter["detections in excess"] == 3 and not answers.published


def test_corrections_are_counted() -> None:
    answers = Answers()
    accepted = msg.PromptResult(accepted=True)
    for object_id in (0, 3):
        answers.answers.send(waiting(Proposal(0.5), object_id), accepted, Prompt())
    assert answers.meter["detections accepted"] == 2 and answers.meter["detections correcting"] == 1


def test_dropped_detection_is_cancelled_and_counted() -> None:
    answers, prompt = Answers(), waiting(Proposal(0.5))
    answers.answers.drop(prompt, "known")
    assert prompt.answer.cancelled() and answers.meter["detections known"] == 1 and not answers.published
