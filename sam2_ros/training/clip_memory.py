"""What the objects of a batch remember while the network goes through a clip."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import Decoded, Memories
from sam2_ros.tracking.memory_bank import Aged, MemoryBank
from sam2_ros.training.prompts import Chance


class ClipMemory:
    """The tracker's own `MemoryBank`, in which a frame is kept for all objects at once.

    For an object that was not seen on a frame, that frame does not count (`SAM2Config.remembered_presence`), and it may
    be that none does any more that was tracked before it (`Prompting.forgotten`).

    Args:
        config: of the network.
        frames: of the clip.
        ago: prompted frames are said to be so many frames older than they are.
        forgotten: chance that an object which is not seen on a frame keeps nothing but its prompted frames.
    """

    def __init__(self, config: SAM2Config, frames: int, ago: int, forgotten: float) -> None:
        self._bank = MemoryBank(config, history=0, prompted_memories=frames)
        self._least = config.remembered_presence
        self._ago = ago
        self._forgotten = forgotten
        self._counts: dict[int, Tensor] = {}
        """Tracked frame -> for which of the objects it counts: bool [O]. Others count for all."""

    def remember(self, t: int, map: Tensor, answer: Decoded, prompted: bool, chance: Chance) -> None:
        """Keep frame t: what the memory encoder made of it, [O, c, h, w], and what was found."""
        remember = self._bank.remember_prompted if prompted else self._bank.remember
        remember(t, map, answer.pointer)
        if self._least is None:
            return
        seen = answer.presence_logit.detach() > self._least
        keeps = seen | (chance(1).squeeze(1) >= self._forgotten)
        self._counts = {frame: counts & keeps for frame, counts in self._counts.items()}
        if not prompted:
            self._counts[t] = seen

    def recall(self, t: int) -> Memories:
        """What all objects remember on frame t."""
        maps, pointers = self._bank.recall(t)
        sample = maps[0][1]
        objects, device = len(sample), sample.device
        ages = [age + self._ago * (t - age in self._bank.prompted) for age, _ in pointers]
        return Memories(
            torch.stack([value for _, value in maps], dim=1),
            torch.tensor([age for age, _ in maps], device=device).expand(objects, -1),
            torch.stack([value for _, value in pointers], dim=1),
            torch.tensor(ages, device=device).expand(objects, -1),
            self._valid(t, maps),
            self._valid(t, pointers),
        )

    def _valid(self, t: int, entries: Aged) -> Tensor | None:
        if not self._counts:
            return None
        sample = next(iter(self._counts.values()))
        everyone = torch.ones_like(sample)
        return torch.stack([self._counts.get(t - age, everyone) for age, _ in entries], dim=1)
