"""Who is told what in a training clip: which frames are prompted and corrected, and how (SAM 2 paper, appendix D.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch


@dataclass(frozen=True)
class Prompting:
    """Chances and numbers. Every choice is made once per batch; where prompts land, for each object."""

    mask: float = 0.5
    """The first prompts of a video are masks."""
    box: float = 0.25
    """A first prompt is a box; what is left is clicks."""
    prompted: int = 1
    """First prompts come on 1 .. so many frames, the first always among them. The paper's is 2."""
    corrected: float = 0.5
    """Clicks correct what came out, as a user would. The paper's is 1."""
    corrected_frames: int = 2
    """At most so many frames are corrected: first the prompted ones, then one other."""
    later: float = 0.875
    """That other one is corrected too. The paper's is 0.5."""
    after_mask: bool = True
    """It is corrected also where first prompts are masks. Not in the paper."""
    fewest_corrections: int = 1
    corrections: int = 2
    """Clicks on a corrected frame, from the fewest to so many. The paper's are 7."""
    from_truth: float = 0.1
    """A correction lands anywhere on the true mask instead of where the answer is wrong."""
    long_ago: float = 0.5
    """Prompted frames are said to lie up to a thousand frames back, as they do in a long stream. The paper's is 0."""
    forgotten: float = 0.5
    """When an object is not seen on a frame, only its prompted frames are remembered from there on, as after a long
    absence. Of use for networks that remember no such frames (`SAM2Config.remembered_presence`). Not in the paper."""

    def __post_init__(self) -> None:
        if not 0 <= self.mask + self.box <= 1:
            raise ValueError(f"masks ({self.mask}) and boxes ({self.box}) are more than all first prompts")
        if not 1 <= self.fewest_corrections <= self.corrections:
            raise ValueError(f"corrections: {self.fewest_corrections} .. {self.corrections} is no range from 1 up")


PAPER_PROMPTING = Prompting(
    prompted=2,
    corrected=1.0,
    later=0.5,
    after_mask=False,
    fewest_corrections=7,
    corrections=7,
    long_ago=0.0,
    forgotten=0.0,
)


class FirstPrompt(Enum):
    MASK = "mask"
    BOX = "box"
    CLICK = "click"


@dataclass(frozen=True)
class Plan:
    """Of one batch of clips of T frames."""

    prompts: dict[int, FirstPrompt]
    """Frame -> what is given there, with no memory of others; always has frame 0."""
    corrections: dict[int, int]
    """Frame -> how many clicks correct it."""
    ago: int
    """Prompted frames are said to be so many frames older than they are."""

    @classmethod
    def draw(cls, prompting: Prompting, frames: int, generator: torch.Generator) -> Plan:
        """A plan for clips of so many frames. Still images get clicks and boxes only, since a mask teaches nothing."""

        def happens(chance: float) -> bool:
            return float(torch.rand((), generator=generator)) < chance

        def below(limit: int) -> int:
            return int(torch.randint(limit, (), generator=generator))

        others = [1 + t for t in torch.randperm(frames - 1, generator=generator).tolist()]
        initial = [0, *others[: below(min(prompting.prompted, max(1, frames - 1)))]]  # one is left to be tracked
        others = others[len(initial) - 1 :]
        from_masks = frames > 1 and happens(prompting.mask)
        boxes = prompting.box / (1 - prompting.mask) if prompting.mask < 1 else 0.0
        prompts = {
            t: FirstPrompt.MASK if from_masks else FirstPrompt.BOX if happens(boxes) else FirstPrompt.CLICK
            for t in initial
        }

        corrected: list[int] = []
        if happens(prompting.corrected) and (prompting.after_mask or not from_masks):
            corrected = [] if from_masks else initial[: prompting.corrected_frames]
            if others and len(initial) < prompting.corrected_frames and happens(prompting.later):
                corrected = [*corrected, others[0]]
        spread = prompting.corrections - prompting.fewest_corrections
        corrections = {t: prompting.fewest_corrections + below(spread + 1) for t in corrected}
        ago = int(torch.exp(torch.rand((), generator=generator) * 7)) if happens(prompting.long_ago) else 0
        return cls(prompts, corrections, ago)
