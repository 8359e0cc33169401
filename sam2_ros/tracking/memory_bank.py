"""What is remembered of one object (SAM 2 paper, section 4, "Memory bank").

Prompted frames are kept, the first for ever and the latest few; of the other frames, the most recent, or those of them
on which the object was seen (as in Videnovic et al. 2025, "A distractor-aware memory for visual object tracking with
SAM 2"). Nothing grows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import Memories

Aged = list[tuple[int, Tensor]]
"""Tensors with the number of frames since they were made."""


def most_recalled(config: SAM2Config) -> tuple[int, int]:
    """The most maps and object pointers that are recalled beside those of prompted frames."""
    return config.recent_memories, config.max_pointers - 1


class MemoryBank:
    """The memory of one object, by frame index: a map [c, h, w] and an object pointer [C] of each frame.

    Args:
        config: of the network; says how many recent frames are recalled, and which.
        history: how many frames back a late prompt may reach: recent frames are kept that much longer, so that the
            bank can also recall what it knew then.
        prompted_memories: how many prompted frames are kept.
    """

    def __init__(self, config: SAM2Config, history: int, prompted_memories: int) -> None:
        self._reach = most_recalled(config)
        self._least = -math.inf if config.remembered_presence is None else config.remembered_presence
        self._history = history
        self._prompted_memories = prompted_memories
        self.prompted: dict[int, tuple[Tensor, Tensor]] = {}
        self._maps: dict[int, Tensor] = {}
        self._pointers: dict[int, Tensor] = {}

    def copy(self) -> MemoryBank:
        """A bank that can change while this one stays; the tensors are shared."""
        twin = object.__new__(MemoryBank)
        twin.__dict__.update(self.__dict__)
        twin.prompted, twin._maps, twin._pointers = dict(self.prompted), dict(self._maps), dict(self._pointers)
        return twin

    def remember_prompted(self, index: int, map: Tensor, pointer: Tensor) -> None:
        """Keep a frame that was prompted. When there are too many, the oldest but the first and this one goes."""
        self._maps.pop(index, None)
        self._pointers.pop(index, None)
        self.prompted = dict(sorted({**self.prompted, index: (map, pointer)}.items()))
        if len(self.prompted) > self._prompted_memories:
            oldest = next(frame for frame in list(self.prompted)[1:] if frame != index)
            self.remember(oldest, *self.prompted.pop(oldest))  # as long as it is recent, it counts like any other

    def remember(self, index: int, map: Tensor, pointer: Tensor, presence_logit: float = math.inf) -> None:
        """Keep a frame that was tracked, and let go of those that nothing can ask for any more.

        Of a frame that is not worth it (`SAM2Config.remembered_presence`), what was known before is forgotten too.
        """
        for recent, reach, new in zip((self._maps, self._pointers), self._reach, (map, pointer), strict=True):
            if presence_logit > self._least:
                recent[index] = new
            else:
                recent.pop(index, None)
            horizon = max(recent, default=0) - reach - self._history
            for old in [frame for frame in recent if frame < horizon]:
                del recent[old]

    def recall(self, index: int) -> tuple[Aged, Aged]:
        """Maps and object pointers that are known on frame `index`, with the ages that `Memories` wants.

        Maps: all prompted frames (age 0), and the others among the last 6. Pointers: prompted frames so far, and the
        others among the last 15. A prompted frame among the last 6 does not make room for an older one.
        """
        others = [frame for frame in self.prompted if frame != index]
        maps = [(0, self.prompted[frame][0]) for frame in others]
        pointers = [(index - frame, self.prompted[frame][1]) for frame in others if frame < index]
        for entries, recent, reach in zip((maps, pointers), (self._maps, self._pointers), self._reach, strict=True):
            entries += [(age, recent[index - age]) for age in range(1, reach + 1) if index - age in recent]
        return maps, pointers


def recall_all(banks: Sequence[MemoryBank], index: int, grid: tuple[int, int]) -> Memories | None:
    """What N objects remember on frame `index`, side by side; None when they remember nothing.

    Objects that remember less are filled up and the filling is marked as not valid, so that no object's result
    depends on which others there are.

    Args:
        grid: rows and columns of the frame's features. Maps of images that had another aspect are resized to it.
    """
    maps, pointers = zip(*(bank.recall(index) for bank in banks), strict=True)
    if not any(maps):
        return None
    map_values, map_ages, map_valid = _side_by_side([[(age, _at(map, grid)) for age, map in row] for row in maps])
    if not any(pointers):  # all prompts lie ahead: a map is there, but no pointer yet
        pointer = next(iter(banks[0].prompted.values()))[1]
        empty = pointer.new_zeros(len(banks), 0, *pointer.shape)
        return Memories(map_values, map_ages, empty, map_ages[:, :0], map_valid)
    pointer_values, pointer_ages, pointer_valid = _side_by_side(pointers)
    return Memories(map_values, map_ages, pointer_values, pointer_ages, map_valid, pointer_valid)


def _at(map: Tensor, grid: tuple[int, int]) -> Tensor:
    return map if map.shape[1:] == grid else F.interpolate(map[None], grid, mode="bilinear")[0]


def _side_by_side(rows: Sequence[Aged]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Values [N, K, ...], ages [N, K], and which of them are there: bool [N, K], None when all are."""
    longest = max(len(row) for row in rows)
    sample = next(value for row in rows for _, value in row)
    filling = torch.zeros_like(sample)
    flat = [value for row in rows for value in [v for _, v in row] + [filling] * (longest - len(row))]
    # In one go, which on a GPU is one kernel; maps as the memory encoder leaves them, with channels last.
    maps = sample.dim() > 1
    values = torch.cat([value.movedim(0, -1) for value in flat] if maps else flat)
    values = values.unflatten(0, (len(rows), longest, -1))
    values = values.movedim(-1, 2) if maps else values
    ages = torch.tensor([[age for age, _ in row] + [1] * (longest - len(row)) for row in rows])
    ages = ages.to(sample.device, non_blocking=True)  # a GPU need not have finished what it is at
    if all(len(row) == longest for row in rows):
        return values, ages, None
    there = torch.tensor([[i < len(row) for i in range(longest)] for row in rows])
    return values, ages, there.to(sample.device, non_blocking=True)
