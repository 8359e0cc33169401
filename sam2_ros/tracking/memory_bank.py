"""The memory bank of one object (SAM 2 paper, section 4, "Memory bank").

Prompted frames are stored, the first permanently and the latest few; of the other frames the most recent, or the most
recent on which the object was present (as in Videnovic et al. 2025, "A distractor-aware memory for visual object
tracking with SAM 2"), however long ago that was. Its size is bounded.
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
"""Tensors, each with its age: the number of frames since it was computed."""


def most_recalled(config: SAM2Config) -> tuple[int, int]:
    """Maximum numbers of maps and object pointers that are recalled from frames without a prompt."""
    return config.recent_memories, config.max_pointers - 1


class MemoryBank:
    """The memory of one object, by frame index: a map [c, h, w] and an object pointer [C] of each frame.

    Args:
        config: of the network; determines which and how many recent frames are recalled.
        history: number of frames that a late prompt may reach back: recent frames are stored that much longer, so that
            the bank can also recall its state on those frames.
        prompted_memories: maximum number of stored prompted frames.
    """

    def __init__(self, config: SAM2Config, history: int, prompted_memories: int) -> None:
        self._reach = most_recalled(config)
        self._min_presence = config.remembered_presence
        self._stride = config.memory_stride
        self._history = history
        self._prompted_memories = prompted_memories
        self.prompted: dict[int, tuple[Tensor, Tensor]] = {}
        self.maps: dict[int, Tensor] = {}
        self.pointers: dict[int, Tensor] = {}

    def copy(self) -> MemoryBank:
        """An independent copy of the bank, which shares its tensors."""
        twin = object.__new__(MemoryBank)
        twin.__dict__.update(self.__dict__)
        twin.prompted, twin.maps, twin.pointers = dict(self.prompted), dict(self.maps), dict(self.pointers)
        return twin

    def remember_prompted(self, index: int, map: Tensor, pointer: Tensor) -> None:
        """Store a prompted frame. Beyond the maximum number, the oldest is dropped, but never the first or this one."""
        self.maps.pop(index, None)
        self.pointers.pop(index, None)
        self.prompted = dict(sorted({**self.prompted, index: (map, pointer)}.items()))
        if len(self.prompted) > self._prompted_memories:
            oldest = next(frame for frame in list(self.prompted)[1:] if frame != index)
            self.remember(oldest, *self.prompted.pop(oldest))  # while it is recent, it counts as a tracked frame

    def remember(self, index: int, map: Tensor, pointer: Tensor, presence_logit: float = math.inf) -> None:
        """Store a tracked frame, and drop frames that are too old to be recalled again.

        A frame with too low a presence (`SAM2Config.remembered_presence`) is not stored, or is dropped.
        """
        if self._min_presence is None or presence_logit > self._min_presence:
            self.maps[index], self.pointers[index] = map, pointer
        else:
            self.maps.pop(index, None)
            self.pointers.pop(index, None)
        self._forget()

    def _forget(self) -> None:
        """Drop what no frame of the history will recall."""
        maps_reach, pointers_reach = self._reach
        oldest = max(self.pointers, default=0) - self._history - pointers_reach
        self.pointers = {frame: pointer for frame, pointer in self.pointers.items() if frame >= oldest}
        reached = max(self.maps, default=0) - self._history
        before = sorted(frame for frame in self.maps if frame < reached)
        spread = [frame for frame in before if frame % self._stride == 0]
        for frame in set(before).difference(before[-1:], spread[-maps_reach:]):
            del self.maps[frame]

    def recall(self, index: int) -> tuple[Aged, Aged]:
        """Maps and object pointers to attend to on frame `index`, with their ages (`Memories`).

        Maps: all prompted frames (age 0), and the others among the last 6. Pointers: prompted frames so far, and the
        others among the last 15. A prompted frame among the last 6 does not make room for an older one.
        With `SAM2Config.remembered_presence`: the last map that was remembered, and five before it, `memory_stride`
        apart; the age of each is its place among them.
        """
        others = [frame for frame in self.prompted if frame != index]
        maps = [(0, self.prompted[frame][0]) for frame in others]
        pointers = [(index - frame, self.prompted[frame][1]) for frame in others if frame < index]
        maps += [(age, self.maps[frame]) for age, frame in self._recent(index)]
        reach = self._reach[1]
        pointers += [(age, self.pointers[index - age]) for age in range(1, reach + 1) if index - age in self.pointers]
        return maps, pointers

    def _recent(self, index: int) -> list[tuple[int, int]]:
        """The recent frames whose maps are recalled on frame `index`, each with its age."""
        reach = self._reach[0]
        if self._min_presence is None:
            return [(age, index - age) for age in range(1, reach + 1) if index - age in self.maps]
        earlier = sorted((frame for frame in self.maps if frame < index), reverse=True)
        spread = [frame for frame in earlier[1:] if frame % self._stride == 0]
        return list(enumerate((earlier[:1] + spread)[:reach], 1))


def recall_all(banks: Sequence[MemoryBank], index: int, grid: tuple[int, int]) -> Memories | None:
    """The memories of N objects on frame `index` as one batch; None when all are empty.

    Shorter memories are padded, and the padding is marked as invalid, so that no object's result depends on the others.

    Args:
        grid: rows and columns of the frame's features. Maps of images with another aspect are resized to it.
    """
    maps, pointers = zip(*(bank.recall(index) for bank in banks), strict=True)
    if not any(maps):
        return None
    map_values, map_ages, map_valid = _padded([[(age, _resized(map, grid)) for age, map in row] for row in maps])
    if not any(pointers):  # all prompts are on later frames: there are maps, but no pointers
        pointer = next(iter(banks[0].prompted.values()))[1]
        empty = pointer.new_zeros(len(banks), 0, *pointer.shape)
        return Memories(map_values, map_ages, empty, map_ages[:, :0], map_valid)
    pointer_values, pointer_ages, pointer_valid = _padded(pointers)
    return Memories(map_values, map_ages, pointer_values, pointer_ages, map_valid, pointer_valid)


def _resized(map: Tensor, grid: tuple[int, int]) -> Tensor:
    return map if map.shape[1:] == grid else F.interpolate(map[None], grid, mode="bilinear")[0]


def _padded(rows: Sequence[Aged]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Pad rows to one length: values [N, K, ...], ages [N, K], and validity, bool [N, K]; None when all are valid."""
    longest = max(len(row) for row in rows)
    sample = next(value for row in rows for _, value in row)
    padding = torch.zeros_like(sample)
    flat = [value for row in rows for value in [v for _, v in row] + [padding] * (longest - len(row))]
    # One concatenation, which is one kernel on a GPU; maps keep the memory encoder's layout, with channels last.
    maps = sample.dim() > 1
    values = torch.cat([value.movedim(0, -1) for value in flat] if maps else flat)
    values = values.unflatten(0, (len(rows), longest, -1))
    values = values.movedim(-1, 2) if maps else values
    ages = torch.tensor([[age for age, _ in row] + [1] * (longest - len(row)) for row in rows])
    ages = ages.to(sample.device, non_blocking=True)  # without waiting for the GPU
    if all(len(row) == longest for row in rows):
        return values, ages, None
    valid = torch.tensor([[i < len(row) for i in range(longest)] for row in rows])
    return values, ages, valid.to(sample.device, non_blocking=True)
