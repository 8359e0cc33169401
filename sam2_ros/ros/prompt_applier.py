"""Application of due prompts to the tracker."""

from __future__ import annotations

from collections.abc import Callable

from sam2_ros import msg
from sam2_ros.ros import masklets
from sam2_ros.ros.prompt_answers import PromptAnswers
from sam2_ros.ros.tracking_session import TrackingSession
from sam2_ros.ros.waiting_prompt import WaitingPrompt
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.prompt import Prompt, PromptError


class PromptApplier:
    """Applies prompts to the tracker and answers them. Only for the session's thread.

    Args:
        on_error: called with unexpected exceptions; the prompt is then refused.
    """

    def __init__(self, session: TrackingSession, answers: PromptAnswers, on_error: Callable[[Exception], None]) -> None:
        self._session = session
        self._answers = answers
        self._on_error = on_error
        self._frames: dict[int, Frame] = {}  # cache of prompted images' frames, by stamp, until an object changes

    def clear_frames(self) -> None:
        """Clear the cached frames, after the tracker has changed."""
        self._frames.clear()

    def apply(self, waiting: WaitingPrompt) -> bool:
        """Apply a prompt, or refuse or drop it. Returns whether the tracker has changed."""
        session, proposal = self._session, waiting.proposal
        try:
            frame = self._frame_of(waiting)
            prompt = waiting.prompt.checked(frame.height, frame.width)
            if proposal is not None and (reason := self._drop_reason(waiting, prompt, frame)) is not None:
                self._answers.drop(waiting, reason)
                return False
            starts = prompt.replace or prompt.object_id not in session.tracker.objects
            masklet = session.tracker.prompt(prompt, frame.stamp)
        except PromptError as error:
            self._answers.refuse(waiting, str(error))
            return False
        except Exception as error:
            self._on_error(error)
            self._answers.refuse(waiting, f"internal error: {type(error).__name__}: {error}")
            return False
        if proposal is None:
            session.detections.discard(masklet.object_id)
        else:
            session.detections.add(masklet.object_id, proposal, prompt.box, frame.stamp)
        session.note_prompt(masklet, frame.stamp, starts)
        result = msg.PromptResult(
            header=session.snapshot.header_of(frame.stamp),
            object_id=masklet.object_id,
            accepted=True,
            masklet=masklets.to_message(masklet),
        )
        self._answers.send(waiting, result, prompt)
        self.clear_frames()
        session.update()
        return True

    def _frame_of(self, waiting: WaitingPrompt) -> Frame:
        stamp = self._stamp_of(waiting)
        if stamp not in self._frames:
            self._frames[stamp] = self._session.frame_at(stamp)
        return self._frames[stamp]

    def _stamp_of(self, waiting: WaitingPrompt) -> int:
        """The tracker's stamp for the image that a prompt is for, ns; 0: the newest."""
        stamps, stamp = self._session.tracker.stamps, waiting.stamp
        processed = self._session.snapshot.find(stamp) if stamp else None
        if processed is not None:
            return processed
        if waiting.unstamped or (waiting.source.other_clock and not stamps[0] <= stamp <= stamps[-1]):
            return 0
        return stamp

    def _drop_reason(self, waiting: WaitingPrompt, prompt: Prompt, frame: Frame) -> str | None:
        """Counted reason to drop a detection; None: it starts an object."""
        assert waiting.proposal is not None and prompt.box is not None
        if self._session.detections.is_tracked(prompt.box, frame, waiting.proposal.max_overlap):
            return "known"
        tracker = self._session.tracker
        return "without room" if len(tracker.labels) >= tracker.max_objects else None
