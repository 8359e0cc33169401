"""The memory of a batch of objects over a training clip."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import Decoded, Memories
from sam2_ros.tracking.memory_bank import Aged, MemoryBank
from sam2_ros.training.prompts import Chance


class ClipMemory:
    """The tracker's own `MemoryBank`, which stores each frame for all objects at once.

    A frame on which an object is absent is masked out for that object (`SAM2Config.remembered_presence`), and at random
    so are all earlier tracked ones (`Prompting.forget_absent`).

    Args:
        config: of the model.
        frames: number in the clip.
        ago: number of frames that prompted frames appear older than they are.
        forget_absent: probability that an object which is absent on a frame keeps only its prompted frames.
    """

    def __init__(self, config: SAM2Config, frames: int, ago: int, forget_absent: float) -> None:
        self._bank = MemoryBank(config, history=0, prompted_memories=frames)
        self._min_presence = config.remembered_presence
        self._ago = ago
        self._forget_absent = forget_absent
        self._valid: dict[int, Tensor] = {}
        """Tracked frame -> objects for which it is valid: bool [O]. Other frames are valid for all."""

    def add(self, t: int, map: Tensor, answer: Decoded, prompted: bool, chance: Chance) -> None:
        """Add frame t: its memory map [O, c, h, w], and the decoder's output."""
        add = self._bank.remember_prompted if prompted else self._bank.remember
        add(t, map, answer.pointer)
        if self._min_presence is None:
            return
        present = answer.presence_logit.detach() > self._min_presence
        keeps = present | (chance(1).squeeze(1) >= self._forget_absent)
        self._valid = {frame: valid & keeps for frame, valid in self._valid.items()}
        if not prompted:
            self._valid[t] = present

    def recall(self, t: int) -> Memories:
        """The memories of all objects for frame t."""
        maps, pointers = self._bank.recall(t)
        sample = maps[0][1]
        objects, device = len(sample), sample.device
        ages = [age + self._ago * (t - age in self._bank.prompted) for age, _ in pointers]
        return Memories(
            torch.stack([value for _, value in maps], dim=1),
            torch.tensor([age for age, _ in maps], device=device).expand(objects, -1),
            torch.stack([value for _, value in pointers], dim=1),
            torch.tensor(ages, device=device).expand(objects, -1),
            self._masks(t, maps),
            self._masks(t, pointers),
        )

    def _masks(self, t: int, entries: Aged) -> Tensor | None:
        if not self._valid:
            return None
        sample = next(iter(self._valid.values()))
        everyone = torch.ones_like(sample)
        return torch.stack([self._valid.get(t - age, everyone) for age, _ in entries], dim=1)
