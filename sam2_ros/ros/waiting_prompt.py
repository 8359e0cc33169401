"""A prompt that waits, for its image or for the network."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field

from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.tracking.prompt import Prompt

MAX_WAITING = 64
"""Prompts of one source that may wait for images to come, and as many for the network."""


@dataclass(frozen=True)
class Proposal:
    """How a detection is treated: it is dropped if its box overlaps a tracked object, or there is no room."""

    max_overlap: float
    """IoU up to which it is another object than those that are tracked."""
    forget_after: float = 0.0
    """s that the object may be absent before it is removed; 0: for ever."""


@dataclass(frozen=True)
class Source:
    """Where prompts come from. Each source has places of its own, so that none takes those of another."""

    name: str = "prompts"
    other_clock: bool = False
    """Their stamps may be of another clock than the images': if no image has one, the newest is meant."""
    max_waiting: int = MAX_WAITING


@dataclass(eq=False)
class WaitingPrompt:
    """A prompt whose image may not have been processed yet."""

    header: Header
    prompt: Prompt
    stamp: int
    """Of its image, ns; 0: the newest, and none has come that is still to be processed."""
    unstamped: bool
    """It was for the newest image that had come; if that is not processed, it is for the newest that was."""
    since: float  # s of the monotonic clock
    deadline: float  # s of the monotonic clock
    source: Source
    proposal: Proposal | None
    answer: Future[msg.PromptResult] = field(default_factory=Future)

    @property
    def means_newest(self) -> bool:
        """Whether the newest image will do, if there is none with its stamp."""
        return self.unstamped or self.source.other_clock

    def starts(self, object_ids: Collection[int]) -> bool:
        """Whether it starts an object, where these IDs are tracked."""
        return self.prompt.object_id == 0 or self.prompt.object_id not in object_ids
