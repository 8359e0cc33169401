"""A prompt that waits for its image or for the network."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field

from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.detection.policy import Detection
from sam2_ros.detection.settings import DetectionSettings
from sam2_ros.tracking.prompt import Prompt

MAX_WAITING = 64
"""Maximum number of prompts per source that wait for future images, and of prompts that wait for the network."""


@dataclass(frozen=True)
class Proposal:
    """Conditions for a detection's prompt.

    A new object is dropped if its box overlaps a tracked one, or if there is no room; a correction, if the object is
    no longer tracked or a person has prompted it in the meantime.
    """

    max_overlap: float
    """Maximum IoU of a new object with tracked objects."""
    forget_after: float = 0.0
    """Seconds of absence after which the object is removed; 0: never."""
    corrects_all: bool = False
    """Whether objects that a person has prompted may be corrected, too."""


@dataclass(frozen=True)
class Source:
    """A source of prompts. Each has its own limit of waiting prompts, so that no source blocks another."""

    name: str = "prompts"
    other_clock: bool = False
    """Whether stamps may come from another clock than the images'; a stamp of no image then means the newest."""
    max_waiting: int = MAX_WAITING


@dataclass(eq=False)
class WaitingPrompt:
    """A prompt whose image may not have been processed yet."""

    header: Header
    prompt: Prompt
    stamp: int
    """Stamp of its image, ns; 0: the newest processed image."""
    unstamped: bool
    """Whether it is for the newest image that had arrived, or, if that is not processed, the newest processed one."""
    arrived: float  # s of the monotonic clock
    deadline: float  # s of the monotonic clock
    source: Source
    proposal: Proposal | None
    answer: Future[msg.PromptResult] = field(default_factory=Future)

    @property
    def means_newest(self) -> bool:
        """Whether it may be applied to the newest image, if no image has its stamp."""
        return self.unstamped or self.source.other_clock

    def starts_object(self, object_ids: Collection[int]) -> bool:
        """Whether it starts a new object, given the IDs of the tracked ones."""
        return self.prompt.object_id == 0 or self.prompt.object_id not in object_ids


@dataclass(eq=False)
class WaitingDetections(WaitingPrompt):
    """The boxes of one detector message. Its own prompt is empty: what to prompt is decided on its image."""

    detections: tuple[Detection, ...] = ()
    """Best first."""
    settings: DetectionSettings = field(default_factory=DetectionSettings)
