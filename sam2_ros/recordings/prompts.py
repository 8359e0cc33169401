"""Prompts for frames of a recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sam2_ros.tracking.prompt import Prompt


@dataclass(frozen=True, eq=False)
class ScheduledPrompt:
    """A prompt for one frame of a recording."""

    frame: int
    """Index of the image."""
    prompt: Prompt
    """In pixels of that image, with the ID of its object."""

    @property
    def described(self) -> str:
        """As error messages name it."""
        label = f" ({self.prompt.label})" if self.prompt.label else ""
        return f"the prompt of object {self.prompt.object_id}{label} on frame {self.frame}"


def first_frames(prompts: Iterable[ScheduledPrompt]) -> dict[int, int]:
    """Index of the image on which each object is prompted first, by object ID."""
    ordered = sorted(prompts, key=lambda scheduled: -scheduled.frame)
    return {scheduled.prompt.object_id: scheduled.frame for scheduled in ordered}
