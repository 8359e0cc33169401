"""A finished run, as outputs get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.masklet_store import MaskletStore, StoredFrame
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import RecordedImage, Recording
from sam2_ros.tracking.prompt import Prompt


@dataclass(frozen=True)
class FinishedRun:
    """A recording and everything that a run has found in it."""

    recording: Recording
    store: MaskletStore
    prompts: Sequence[ScheduledPrompt]
    """All prompts that were applied."""
    originals: bool = True
    """Whether a bag gets the recording's own messages or images, too."""
    on_frame: Callable[[], None] = field(default=lambda: None)
    """Called after each frame that an output has written."""

    def prompts_on(self, frame: int) -> list[Prompt]:
        """The prompts on an image, in the order in which they were applied."""
        return self._prompts_by_frame.get(frame, [])

    @cached_property
    def _prompts_by_frame(self) -> dict[int, list[Prompt]]:
        by_frame: dict[int, list[Prompt]] = {}
        for scheduled in self.prompts:
            by_frame.setdefault(scheduled.frame, []).append(scheduled.prompt)
        return by_frame

    def pictures(self) -> Iterator[tuple[RecordedImage, StoredFrame]]:
        """All processed images, in order, each with its masks. Images that could not be decoded are left out.

        Raises:
            ClipError: an image that was processed cannot be decoded any more, or the recording cannot be read.
        """
        frames = self.store.frames()
        stored = next(frames, None)
        if stored is None:
            return
        for image in self.recording.images(stored.frame):
            if stored.frame < image.index:
                break
            if stored.frame == image.index:
                yield image, stored
                stored = next(frames, None)
                if stored is None:
                    return
        reason = self.recording.damaged.get(stored.frame, "it is not there")
        problem = f"image {stored.frame} was tracked, but cannot be read any more ({reason})"
        raise ClipError(self.recording.path, f"{problem}; --restart begins again with what can be read")
