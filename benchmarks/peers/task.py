"""The task that all sides of a comparison share: model, images, number of objects, precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch

FILLED = 16
"""Number of frames in every memory bank before the first measured one: one prompted, 15 tracked."""
SEED = 2


@dataclass(frozen=True)
class Task:
    """The work of all sides, and its measurement."""

    model: str
    size: int
    objects: int
    dtype: str
    device: str
    threads: int
    cpu_time: bool = False
    """Measure the processor's time, summed over threads, instead of the wall's."""
    video: str | None = None
    """File whose first frames are the images. None: a synthetic scene."""
    keep: bool = False
    """Whether our sides keep freed memory, see `sam2_ros.system.allocator`."""

    @property
    def square(self) -> tuple[int, int]:
        """Rows and columns of the stride-16 features of a square image."""
        return self.size // 16, self.size // 16

    def memories(self, dim: int, memory_dim: int, grid: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Memories that fill all banks: maps [objects, FILLED, c, *grid] and pointers [objects, FILLED, C].

        Values are rounded to bfloat16, because some sides store them so.
        """
        generator = torch.Generator().manual_seed(SEED)
        maps = torch.randn(self.objects, FILLED, memory_dim, *grid, generator=generator)
        pointers = torch.randn(self.objects, FILLED, dim, generator=generator)
        return tuple(x.bfloat16().to(self.device, getattr(torch, self.dtype)) for x in (maps, pointers))
