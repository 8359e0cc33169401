"""Prompts for a recording."""

from __future__ import annotations

from dataclasses import dataclass

from sam2_ros.tracking.prompt import Prompt


@dataclass(frozen=True)
class ScheduledPrompt:
    """A prompt and the image it is for."""

    frame: int
    """Index of the image."""
    prompt: Prompt
    """In pixels of that image; its object ID is set."""
