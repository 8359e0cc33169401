"""The show: the video of the demo and its prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sam2_ros.data.clip import Clip
from sam2_ros.data.prompt_text import describe
from sam2_ros.tracking.prompt import Prompt

MIN_FRAMES = 3
"""Minimum number of frames: the prompted one and the last one are not scored."""


@dataclass(frozen=True)
class Show:
    """A video, the prompts on its first frame and, for a generated scene, the ground truth."""

    source: Path
    """A video file or a folder of images."""
    frames: int
    fps: float
    prompts: tuple[Prompt, ...]
    """The first is for object 1, and so on."""
    truth: Clip | None = None
    """Ground truth, if the video has any."""
    truth_id: int = 0
    """Ground-truth ID of the prompted object."""

    @property
    def prompt_summary(self) -> str:
        """Number and kind of the prompts: one click, 2 boxes, 3 prompts."""
        kinds = {describe(prompt).split(" ")[0] for prompt in self.prompts}
        count, kind = len(self.prompts), kinds.pop() if len(kinds) == 1 else "prompt"
        return f"one {kind}" if count == 1 else f"{count} {kind}{'es' if kind == 'box' else 's'}"
