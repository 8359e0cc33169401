"""Run-length encoding of masks: COCO's uncompressed counts, column by column, beginning with zeros."""

from __future__ import annotations

import numpy as np


def encode(mask: np.ndarray) -> np.ndarray:
    """Lengths of runs of 0 and 1 in turn, the first of zeros (maybe none).

    Args:
        mask: bool [H, W].

    Returns:
        uint32 [K], summing to H * W.
    """
    flat = np.ravel(mask, order="F").view(np.uint8)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate(([0], changes, [flat.size]))
    counts = np.diff(edges).astype(np.uint32)
    return np.concatenate((np.zeros(1, np.uint32), counts)) if flat.size and flat[0] else counts


def decode(counts: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask of these counts: bool [height, width].

    Raises:
        ValueError: the counts do not sum to height * width.
    """
    counts = np.asarray(counts, dtype=np.int64)
    if counts.sum() != height * width:
        raise ValueError(f"run lengths cover {counts.sum()} pixels, but the mask has {width} x {height}")
    values = np.arange(counts.size) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")
