"""Application of due prompts to the tracker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from sam2_ros import msg
from sam2_ros.detection.policy import beside_seen
from sam2_ros.ros import masklets
from sam2_ros.ros.prompt_answers import PromptAnswers
from sam2_ros.ros.tracking_session import TrackingSession
from sam2_ros.ros.waiting_prompt import WaitingDetections, WaitingPrompt
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
            prompt = waiting.prompt.checked(frame.height, frame.width, may_name=True)
            if proposal is not None and (reason := self._drop_reason(waiting, prompt, frame)) is not None:
                self._answers.drop(waiting, reason)
                return False
            starts = prompt.replace or prompt.object_id not in session.tracker.objects
            masklet = session.tracker.prompt(prompt, frame.stamp)
        except PromptError as error:
            if isinstance(error.__cause__, torch.OutOfMemoryError):
                session.meter.count("out of memory", detail="a prompt was refused")
            self._answers.refuse(waiting, str(error))
            return False
        except Exception as error:
            self._on_error(error)
            self._answers.refuse(waiting, f"internal error: {type(error).__name__}: {error}")
            return False
        if proposal is None:
            session.detections.discard(masklet.object_id, frame.stamp)
        else:
            session.detections.add(masklet.object_id, proposal, prompt, frame.stamp)
        if not prompt.only_names:
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

    def decide(self, waiting: WaitingDetections) -> tuple[list[WaitingPrompt], bool]:
        """Decide what the detections of a message prompt, and remove objects that have become duplicates.

        Returns the prompts, to be applied next, and whether the tracker has changed.
        """
        session = self._session
        try:
            frame = self._frame_of(waiting)
            decision = session.detections.decide(waiting.detections, frame, waiting.settings)
        except PromptError as error:
            self._answers.refuse(waiting, str(error))
            return [], False
        except Exception as error:
            self._on_error(error)
            self._answers.refuse(waiting, f"internal error: {type(error).__name__}: {error}")
            return [], False
        self._answers.decided(waiting, decision.counts)
        assert waiting.proposal is not None
        proposal = replace(waiting.proposal, max_overlap=beside_seen(waiting.proposal.max_overlap))
        following, removed = [], False
        for action in decision.actions:
            if action.detection is None:
                session.remove_duplicate(action.object_id)
                removed = True
                continue
            prompt = Prompt(
                object_id=action.object_id,
                box=action.detection.box,
                label=action.detection.label if action.kind == "start" else "",
                replace=action.kind != "start",
            )
            following.append(
                WaitingPrompt(
                    waiting.header,
                    prompt,
                    frame.stamp,
                    False,
                    waiting.arrived,
                    waiting.deadline,
                    waiting.source,
                    proposal,
                )
            )
        if removed:
            self.clear_frames()
        return following, removed

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
        """Counted reason to drop a detection; None: it starts an object, or corrects one."""
        assert waiting.proposal is not None and prompt.box is not None
        if prompt.object_id:
            changed = prompt.object_id not in self._session.tracker.labels or (
                prompt.object_id not in self._session.detections and not waiting.proposal.corrects_all
            )
            return "overtaken" if changed else None
        if self._session.detections.is_tracked(prompt.box, frame, waiting.proposal.max_overlap):
            return "known"
        tracker = self._session.tracker
        return "without room" if len(tracker.labels) >= tracker.max_objects else None
