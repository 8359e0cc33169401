"""What the tracker knows, as it can be read while it is busy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from std_msgs.msg import Header

from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.tracking.prompt import Prompt, PromptError

FUTURE_SIZE = 2**31
"""Pixels of each side of an image that has not come."""


@dataclass(frozen=True)
class Seen:
    """An image that was processed."""

    header: Header
    height: int
    width: int


@dataclass(frozen=True)
class History:
    """The images that can be prompted and the objects that are tracked, at one moment."""

    frames: Mapping[int, Seen] = field(default_factory=dict)
    """By the stamps that the tracker has for them, ascending, ns."""
    object_ids: frozenset[int] = frozenset()
    max_objects: int = 1

    @property
    def stamps(self) -> tuple[int, ...]:
        return tuple(self.frames)

    def find(self, stamp: int) -> int | None:
        """The tracker's stamp of the image whose header has this one, ns; None: none of them.

        The two differ where time has jumped and what is tracked was kept. Of several the newest is meant.
        """
        for known, seen in reversed(self.frames.items()):
            if nanoseconds(seen.header.stamp) == stamp:
                return known
        return stamp if stamp in self.frames else None

    def too_old(self, stamp: int) -> str | None:
        """Why a prompt with this stamp comes too late; None: it doesn't."""
        if not self.frames or self.find(stamp) is not None or stamp >= next(iter(self.frames)):
            return None
        oldest, newest = next(iter(self.frames)), next(reversed(self.frames))
        return (
            f"the prompted image is {(newest - stamp) / 1e9:.3f} s older than the newest, but the history of"
            f" {len(self.frames)} frames reaches back {(newest - oldest) / 1e9:.3f} s; prompt a newer image or keep a"
            " longer history"
        )

    def checked(self, prompt: Prompt, stamp: int | None) -> Prompt:
        """A prompt of which everything is right that can be said without the network.

        Args:
            stamp: of the image; None: it has not come, so that any size may be right.

        Raises:
            PromptError: it cannot be followed.
        """
        if stamp is None or not self.frames:
            height, width = (FUTURE_SIZE,) * 2 if prompt.mask is None else prompt.mask.shape[:2]
        else:
            near = self.find(stamp)
            seen = self.frames[min(self.frames, key=lambda known: abs(known - stamp)) if near is None else near]
            height, width = seen.height, seen.width
        prompt = prompt.checked(height, width)
        starts = prompt.object_id not in self.object_ids or prompt.replace
        if starts and prompt.box is None and prompt.mask is None and not any(click.positive for click in prompt.clicks):
            if prompt.object_id and not prompt.replace:
                return prompt  # another prompt that waits may start it
            raise PromptError("only negative clicks; a new object needs a positive click, a box or a mask")
        return prompt
