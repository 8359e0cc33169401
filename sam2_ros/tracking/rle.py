"""Run-length encoding of masks: COCO's uncompressed counts, column by column, beginning with zeros."""

from __future__ import annotations

import numpy as np


def encode(mask: np.ndarray, rows: slice | None = None) -> np.ndarray:
    """Lengths of runs of 0 and 1 in turn, the first of zeros (maybe none).

    Args:
        mask: bool [H, W].
        rows: the only rows that have pixels, which makes it faster (`Masklet.rows`); None: any row may have some.

    Returns:
        uint32 [K], summing to H * W.
    """
    edges = _edges_in_order(mask) if mask.flags.f_contiguous else _edges_of_rows(mask, rows or slice(0, len(mask)))
    bounds = np.empty(edges.size + 2, np.uint32)
    bounds[0], bounds[1:-1], bounds[-1] = 0, edges, mask.size
    return bounds[1:] - bounds[:-1]


def _edges_in_order(mask: np.ndarray) -> np.ndarray:
    """Where runs begin, counted column by column, of a mask that lies so in memory: uint32, ascending."""
    cells = mask.ravel(order="F").view(np.uint8)
    begins = np.empty(cells.size, bool)
    begins[:1] = cells[:1]
    np.not_equal(cells[1:], cells[:-1], out=begins[1:])
    return np.flatnonzero(begins).astype(np.uint32)


def _edges_of_rows(mask: np.ndarray, rows: slice) -> np.ndarray:
    """As `_edges_in_order`, of other masks. Sorting the few edges takes a fifth of the time of transposing the mask."""
    if rows.start >= rows.stop:
        return np.zeros(0, np.uint32)
    height, width = mask.shape
    above = max(rows.start - 1, 0)
    cells = mask[above : rows.stop + 1].ravel().view(np.uint8)
    begins = np.empty(cells.size, bool)
    begins[0] = cells[0]
    np.not_equal(cells[1:width], cells[-width:-1], out=begins[1:width])  # beside the foot of the column before
    np.not_equal(cells[width:], cells[:-width], out=begins[width:])
    row, column = np.divmod(np.flatnonzero(begins).astype(np.uint32), np.uint32(width))
    row[row > 0] += np.uint32(above)  # what begins in the first of these rows begins a column
    return np.sort(column * np.uint32(height) + row)


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
