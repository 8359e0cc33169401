"""A tracked object: its memory and its prompts."""

from __future__ import annotations

from dataclasses import dataclass, field

from sam2_ros.tracking.memory_bank import MemoryBank
from sam2_ros.tracking.prompt import MAX_CLICKS, Box, Click, Prompt, PromptError


@dataclass
class TrackedObject:
    """A prompted object."""

    object_id: int
    label: str
    bank: MemoryBank
    prompts: dict[int, tuple[Box | None, tuple[Click, ...]]] = field(default_factory=dict)
    """Box and accumulated clicks by frame index, for the prompted frames in the memory bank."""
    untracked_frames: set[int] = field(default_factory=set)
    """Indices of prompted frames on which it has not been tracked yet: its prompts there are decoded without memory."""

    def copy(self) -> TrackedObject:
        """An independent copy of the object, which shares the tensors of its memory."""
        prompts, untracked = dict(self.prompts), set(self.untracked_frames)
        return TrackedObject(self.object_id, self.label, self.bank.copy(), prompts, untracked)

    def add_prompt(self, index: int, prompt: Prompt) -> tuple[Box | None, tuple[Click, ...]]:
        """Add the box and clicks of a prompt for frame `index`, and return the box and all clicks there.

        Clicks accumulate; a new box or mask replaces earlier clicks.

        Raises:
            PromptError: there are more than `MAX_CLICKS` clicks.
        """
        box, clicks = self.prompts.get(index, (None, ()))
        if prompt.box is not None or prompt.mask is not None:
            box, clicks = prompt.box, ()
        clicks += tuple(prompt.clicks)
        if len(clicks) > MAX_CLICKS:
            raise PromptError(f"more than {MAX_CLICKS} clicks on one frame; send a mask, or start again with replace")
        self.prompts[index] = box, clicks
        return box, clicks

    def drop_forgotten_prompts(self) -> None:
        """Drop the prompts of frames that are no longer prompted frames of the memory bank."""
        for index in [index for index in self.prompts if index not in self.bank.prompted]:
            del self.prompts[index]
            self.untracked_frames.discard(index)
