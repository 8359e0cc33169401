"""The answers to prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sam2_ros import msg
from sam2_ros.ros.listener import Listener
from sam2_ros.ros.log import Log
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.prompts import refused
from sam2_ros.ros.waiting_prompt import WaitingDetections, WaitingPrompt
from sam2_ros.tracking.prompt import Prompt

SHUTTING_DOWN = "the node is shutting down"
"""Reason to refuse what still waits at the end."""


class PromptAnswers:
    """Sends the answer to each prompt, and counts it.

    Args:
        listener: receives each answer before the future of its prompt does.
        on_error: called with exceptions of the listener.
    """

    def __init__(
        self,
        meter: Meter,
        log: Log,
        listener: Listener,
        on_error: Callable[[Exception], None],
    ) -> None:
        self._meter = meter
        self._log = log
        self._listener = listener
        self._on_error = on_error

    def send(self, waiting: WaitingPrompt, result: msg.PromptResult, prompt: Prompt) -> None:
        """Answer a prompt. `prompt` is the prompt after its checks."""
        kind = "prompts" if waiting.proposal is None else "detections"
        self._meter.count(f"{kind} accepted" if result.accepted else f"{kind} refused")
        if result.accepted and waiting.proposal is not None and waiting.prompt.object_id:
            self._meter.count("detections correcting")
        try:
            self._listener.on_answer(result, prompt)
        except Exception as error:  # other prompts wait behind this one
            self._on_error(error)
        waiting.answer.set_result(result)

    def refuse(self, waiting: WaitingPrompt, reason: str) -> None:
        """Refuse a prompt, or the detections of a message together, and log the reason."""
        if isinstance(waiting, WaitingDetections) and not waiting.detections:
            self.drop(waiting, "refused")  # nobody has asked for anything
            return
        kind = "Prompt" if waiting.proposal is None else "Detection"
        if reason != SHUTTING_DOWN:  # that is no news
            self._log.warning(f"{kind} refused: {reason}", throttle_duration_sec=2.0)
        self.send(waiting, refused(waiting.header, waiting.prompt.object_id, reason), waiting.prompt)

    def drop(self, waiting: WaitingPrompt, reason: str) -> None:
        """Drop a detection, or those of a message, without an answer, and count them by the reason."""
        number = len(waiting.detections) if isinstance(waiting, WaitingDetections) else 1
        self._meter.count(f"detections {reason}", number)
        waiting.answer.cancel()

    def decided(self, waiting: WaitingDetections, counts: Mapping[str, int]) -> None:
        """Count the detections of a message that lead to no prompt, by the reason."""
        for reason, number in counts.items():
            self._meter.count(f"detections {reason}", number)
        waiting.answer.cancel()
