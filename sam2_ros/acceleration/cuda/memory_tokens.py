"""Memory tokens that are packed on CUDA: those that count come first, and how many they are is known to the GPU alone,
so that nobody has to wait for it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sam2_ros.model.memory_attention import MemoryTokens


@dataclass(frozen=True, kw_only=True)
class CountedTokens(MemoryTokens):
    """Memory tokens [N, K, c] of which the first ones count; what is behind them is undefined."""

    counts: Tensor
    """int32 [2, N]: how many of the first tokens belong to maps, and how many count in all."""
