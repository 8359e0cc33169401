"""Memory tokens that are packed on CUDA: valid ones come first, and their number is known to the GPU alone, so that the
host need not wait for it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sam2_ros.model.memory_attention import MemoryTokens


@dataclass(frozen=True, kw_only=True)
class CountedTokens(MemoryTokens):
    """Memory tokens [N, K, c], valid ones first; the others are undefined."""

    counts: Tensor
    """int32 [2, N]: number of map tokens, which come first, and number of valid tokens."""
