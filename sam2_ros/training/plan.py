"""The plan of a training batch: which frames are prompted and corrected, and how (SAM 2 paper, appendix D.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch

from sam2_ros.training.settings import Count, Index, Share


@dataclass(frozen=True)
class Prompting:
    """Prompting of objects. Probabilities are drawn once per batch; positions of prompts once per object."""

    mask: Share = 0.5
    """Probability that the first prompts of a clip are masks."""
    box: Share = 0.25
    """Probability that a first prompt is a box; the rest are clicks."""
    prompted_frames: Count = 1
    """Maximum number of frames with first prompts, always including the first frame. Paper: 2."""
    corrected: Share = 0.5
    """Probability that clicks correct predictions, as a user would. Paper: 1."""
    corrected_frames: Index = 2
    """Maximum number of corrected frames: the prompted ones first, then one other."""
    correct_later: Share = 0.875
    """Probability that this other frame is corrected too. Paper: 0.5."""
    correct_after_mask: bool = True
    """Correct the other frame also in clips whose first prompts are masks. Paper: false."""
    min_corrections: Count = 1
    max_corrections: Count = 2
    """Number of clicks on a corrected frame. Paper: 7."""
    from_truth: Share = 0.1
    """Probability that a correction lands anywhere on the true mask instead of in the error region."""
    distant_prompts: Share = 0.5
    """Probability that prompted frames appear to lie up to a thousand frames back, as in a long stream. Paper: 0."""
    forget_absent: Share = 0.5
    """Probability that an object which is absent on a frame keeps only its prompted frames in memory, as after a long
    absence. For networks that skip such frames in memory (`SAM2Config.remembered_presence`). Paper: 0."""

    def __post_init__(self) -> None:
        if not 0 <= self.mask + self.box <= 1:
            raise ValueError(f"`mask` ({self.mask}) and `box` ({self.box}) add up to more than all first prompts")
        if not 1 <= self.min_corrections <= self.max_corrections:
            raise ValueError(
                f"`min_corrections` .. `max_corrections` is {self.min_corrections} .. {self.max_corrections},"
                " which is no range from 1 up"
            )


class FirstPrompt(Enum):
    MASK = "mask"
    BOX = "box"
    CLICK = "click"


@dataclass(frozen=True)
class Plan:
    """Prompts and corrections of one batch of clips of T frames."""

    prompts: dict[int, FirstPrompt]
    """Frame -> its first prompt, decoded without memory; always has frame 0."""
    corrections: dict[int, int]
    """Frame -> number of clicks that correct it."""
    ago: int
    """Number of frames that prompted frames appear older than they are."""

    @classmethod
    def draw(cls, prompting: Prompting, frames: int, generator: torch.Generator) -> Plan:
        """Draw a plan for clips of `frames` frames. Still images get clicks and boxes only: a mask teaches nothing."""

        def happens(chance: float) -> bool:
            return float(torch.rand((), generator=generator)) < chance

        def below(limit: int) -> int:
            return int(torch.randint(limit, (), generator=generator))

        others = [1 + t for t in torch.randperm(frames - 1, generator=generator).tolist()]
        initial = [
            0,
            *others[: below(min(prompting.prompted_frames, max(1, frames - 1)))],
        ]  # one frame remains to be tracked
        others = others[len(initial) - 1 :]
        from_masks = frames > 1 and happens(prompting.mask)
        boxes = prompting.box / (1 - prompting.mask) if prompting.mask < 1 else 0.0
        prompts = {
            t: FirstPrompt.MASK if from_masks else FirstPrompt.BOX if happens(boxes) else FirstPrompt.CLICK
            for t in initial
        }

        corrected: list[int] = []
        if happens(prompting.corrected) and (prompting.correct_after_mask or not from_masks):
            corrected = [] if from_masks else initial[: prompting.corrected_frames]
            if others and len(initial) < prompting.corrected_frames and happens(prompting.correct_later):
                corrected = [*corrected, others[0]]
        spread = prompting.max_corrections - prompting.min_corrections
        corrections = {t: prompting.min_corrections + below(spread + 1) for t in corrected}
        ago = int(torch.exp(torch.rand((), generator=generator) * 7)) if happens(prompting.distant_prompts) else 0
        return cls(prompts, corrections, ago)
