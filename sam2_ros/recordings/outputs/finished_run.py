"""A finished run, as outputs get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.masklet_store import StoredFrame
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import RecordedImage, Recording
from sam2_ros.tracking.prompt import Prompt


class Masklets(Protocol):
    """The masks of a recording by frame: a `MaskletStore`, or those of an annotation project."""

    @property
    def labels(self) -> dict[int, str]:
        """Labels of all objects, by ascending ID."""
        ...

    @property
    def first_frames(self) -> dict[int, int]:
        """Index of the image on which each object appears first, by ascending ID."""
        ...

    @property
    def frame_count(self) -> int:
        """Number of images that could be decoded."""
        ...

    @property
    def frame_numbers(self) -> list[int]:
        """Their indices, ascending."""
        ...

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Their different heights and widths."""
        ...

    def frame(self, frame: int) -> StoredFrame | None:
        """One of them; None: there is no such image."""
        ...

    def frames(self) -> Iterator[StoredFrame]:
        """All of them in order."""
        ...


@dataclass(frozen=True)
class FinishedRun:
    """A recording and everything that a run, or people, have found in it."""

    recording: Recording
    store: Masklets
    prompts: Sequence[ScheduledPrompt]
    """All prompts that were applied."""
    originals: bool = True
    """Whether a bag gets the recording's own messages or images, too."""
    on_frame: Callable[[], None] = field(default=lambda: None)
    """Called after each frame that an output has written."""
    known: np.ndarray | None = None
    """Whether the mask of each object is known on each image of the store: bool [T, N]. None: all are, and an object
    without a mask is not visible."""
    attributes: Mapping[int, Mapping[str, Any]] | None = None
    """See `Clip.attributes`."""

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
