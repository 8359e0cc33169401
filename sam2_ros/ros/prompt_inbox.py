"""The way of prompts from messages of all kinds to the stream of one camera."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from geometry_msgs.msg import Point
from rclpy.node import Node
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.ros import prompts
from sam2_ros.ros.answer_order import AnswerOrder
from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.log import Log
from sam2_ros.ros.outputs.answers import AnswersOutput
from sam2_ros.ros.waiting_prompt import Proposal, Source
from sam2_ros.tracking.prompt import Prompt, PromptError

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2DArray  # optional

MAX_WAITING_CALLS = 4
"""Maximum number of calls of ~/prompt that wait for their images, and of calls that wait for the network. Each occupies
a thread until it is answered."""

PROMPTS, SERVICE = Source("~/prompts"), Source("~/prompt", max_waiting=MAX_WAITING_CALLS)
CLICKS, MOUSE = Source("~/click", other_clock=True), Source("mouse", other_clock=True)
DETECTIONS = Source("detections")


class PromptInbox:
    """Reads prompts from messages and passes them to the stream. Each is answered, in any state of the node."""

    def __init__(self, node: Node, log: Log, configured: ConfiguredStream, answers: AnswersOutput) -> None:
        self._node = node
        self._log = log
        self._configured = configured
        self._answers = answers

    def put_array(self, message: msg.PromptArray) -> None:
        order = AnswerOrder()
        for prompt in message.prompts:
            self.put_message(message.header, prompt, PROMPTS, order)

    def put_message(
        self, header: Header, message: msg.Prompt, source: Source, order: AnswerOrder | None = None
    ) -> Future[msg.PromptResult]:
        try:
            prompt = prompts.from_message(message)
        except PromptError as error:
            return self._refuse(header, message.object_id, str(error), order)
        return self._put(header, prompt, source, order=order)

    def put_click(self, header: Header, point: Point, source: Source) -> None:
        try:
            prompt = prompts.from_point(point)
        except PromptError as error:
            self._refuse(header, 0, str(error))
        else:
            self._put(header, prompt, source)

    def put_detections(self, message: Detection2DArray) -> None:
        detections, left_out = prompts.from_detections(message, self._value("detection_min_score"))
        for reason, number in left_out.items():
            self._configured.meter.count(f"detections {reason}", number)
        if (stream := self._configured.stream) is None:
            return
        settings = DetectionSettings(
            do=self._value("detections_do"),
            confirm=self._value("detection_confirm"),
            confirm_within=self._value("detection_confirm_within"),
            max_overlap=self._value("detection_max_overlap"),
            correct_below=self._value("detection_correct_below"),
            trust_above=self._value("detection_trust_above"),
            correct_after=self._value("detection_correct_after"),
            correct_all=self._value("detection_correct_all"),
        )
        proposal = Proposal(settings.max_overlap, self._value("detection_forget_after"), settings.correct_all)
        timeout = self._value("prompt_timeout")
        stream.put_detections(message.header, detections, settings, proposal, timeout, DETECTIONS)

    def _put(
        self,
        header: Header,
        prompt: Prompt,
        source: Source,
        order: AnswerOrder | None = None,
    ) -> Future[msg.PromptResult]:
        if (stream := self._configured.stream) is None:
            return self._refuse(header, prompt.object_id, "the node is not configured", order)
        return stream.put_prompt(header, prompt, self._value("prompt_timeout"), source=source, order=order)

    def _refuse(
        self, header: Header, object_id: int, reason: str, order: AnswerOrder | None = None
    ) -> Future[msg.PromptResult]:
        answer: Future[msg.PromptResult] = Future()
        result = prompts.refused(header, object_id, reason)

        def publish() -> None:
            self._log.warning(f"Prompt refused: {reason}", throttle_duration_sec=2.0)
            self._configured.meter.count("prompts refused")
            self._answers.publish(result)
            answer.set_result(result)

        (order or AnswerOrder()).then(publish)
        return answer

    def _value(self, parameter: str):
        return self._node.get_parameter(parameter).value
