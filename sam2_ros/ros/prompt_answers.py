"""The answers to prompts."""

from __future__ import annotations

from collections.abc import Callable

from sam2_ros import msg
from sam2_ros.ros.listener import Listener
from sam2_ros.ros.log import Log
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.prompts import refused
from sam2_ros.ros.waiting_prompt import WaitingPrompt
from sam2_ros.tracking.prompt import Prompt


class PromptAnswers:
    """Gives each prompt its answer, and counts it.

    Args:
        listener: receives each answer before whoever waits for it.
        on_error: called with what the listener raises.
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

    def give(self, waiting: WaitingPrompt, result: msg.PromptResult, prompt: Prompt) -> None:
        """Answer a prompt. `prompt` is what it was after checks."""
        kind = "prompts" if waiting.proposal is None else "detections"
        self._meter.count(f"{kind} accepted" if result.accepted else f"{kind} refused")
        try:
            self._listener.on_answer(result, prompt)
        except Exception as error:  # other prompts wait behind this one
            self._on_error(error)
        waiting.answer.set_result(result)

    def refuse(self, waiting: WaitingPrompt, reason: str) -> None:
        """Refuse a prompt and log why."""
        kind = "Prompt" if waiting.proposal is None else "Detection"
        self._log.warning(f"{kind} refused: {reason}", throttle_duration_sec=2.0)
        self.give(waiting, refused(waiting.header, waiting.prompt.object_id, reason), waiting.prompt)

    def drop(self, waiting: WaitingPrompt, reason: str) -> None:
        """Drop a detection, which has no answer; it is counted by its reason."""
        self._meter.count(f"detections {reason}")
        waiting.answer.cancel()
