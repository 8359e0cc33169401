"""What masklets do over a recording, from their run lengths alone: how steady they are, and how they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco

JUMP_SHARE = 0.3
"""A mask has jumped if it and that of the frame before share less of the smaller one. One that shrinks, because
something passes in front of the object, has not."""
INSIDE = 0.9
"""A mask lies inside another one if that contains this share of it."""
BULK = 0.5
"""A mask makes up most of another one if it has more than this share of its pixels."""


def covered_share(counts: Sequence[np.ndarray], height: int, width: int) -> float:
    """The share of an image that masks cover together, 0 .. 1. Masks are run lengths (`rle`)."""
    return float(coco.area(coco.merge(_packed(counts, height, width)))) / (height * width) if counts else 0.0


def uncovered_shares(counts: Sequence[np.ndarray], known: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """The share of each of N masks that is in none of the known masks: float [N]. Masks are run lengths (`rle`)."""
    if not counts or not known:
        return np.ones(len(counts))
    union = coco.merge(_packed(known, height, width))
    return 1 - _insides(_packed(counts, height, width), [union])[:, 0]


def without_repeats(counts: Sequence[np.ndarray], max_iou: float, height: int, width: int) -> list[int]:
    """Indices of the masks (`rle`) that share no more than `max_iou` with any that is taken before it."""
    taken: list[int] = []
    ious = coco.iou(*[_packed(counts, height, width)] * 2, [0] * len(counts)) if counts else []
    for index, row in enumerate(ious):
        if all(row[other] <= max_iou for other in taken):
            taken.append(index)
    return taken


@dataclass(frozen=True)
class Life:
    """One masklet over all frames."""

    present: int
    """Frames on which it has a mask."""
    returns: int
    """Times it came back after frames without a mask."""
    jumps: int
    """Times its mask has jumped (`JUMP_SHARE`) since the frame before."""
    iou: float
    """Mean predicted IoU on frames on which it has a mask, 0 .. 1."""


class Lives:
    """All masklets of a recording. Frames are added in order; masks are not kept, so that any length fits.

    Args:
        object_ids: of all N masklets.
    """

    def __init__(self, object_ids: Sequence[int]) -> None:
        self.object_ids = tuple(object_ids)
        self.frames = 0
        self._rows = {object_id: row for row, object_id in enumerate(self.object_ids)}
        count = len(self.object_ids)
        self._present, self._returns, self._jumps = (np.zeros(count, np.int64) for _ in range(3))
        self._iou = np.zeros(count)
        self._last: list[tuple[int, Any] | None] = [None] * count
        # Of each pair, [first, second]:
        self._together, self._filled = (np.zeros((count, count), np.int64) for _ in range(2))
        self._shared, self._area = (np.zeros((count, count)) for _ in range(2))

    def add(
        self, object_ids: Sequence[int], counts: Sequence[np.ndarray], ious: Sequence[float], height: int, width: int
    ) -> None:
        """Add a frame.

        Args:
            object_ids: of the masklets that have a mask on it.
            counts: their masks: run lengths (`rle`).
            ious: their predicted IoU.
        """
        self.frames += 1
        if not object_ids:
            return
        masks = _packed(counts, height, width)
        rows = np.array([self._rows[object_id] for object_id in object_ids])
        self._present[rows] += 1
        self._iou[rows] += ious
        areas = coco.area(masks).astype(float)
        inside, pairs = _insides(masks, masks), np.ix_(rows, rows)
        self._together[pairs] += 1
        self._shared[pairs] += inside * areas[:, None]
        self._area[pairs] += areas[:, None]
        self._filled[pairs] += (inside.T >= INSIDE) & (areas > BULK * areas[:, None])
        for row, mask in zip(rows, masks, strict=True):
            last = self._last[row]
            if last is not None:
                self._returns[row] += last[0] < self.frames - 1
                same_size = last[1]["size"] == mask["size"]
                if last[0] == self.frames - 1 and same_size:
                    shares = _insides([last[1]], [mask])[0, 0], _insides([mask], [last[1]])[0, 0]
                    self._jumps[row] += max(shares) < JUMP_SHARE
            self._last[row] = self.frames, mask

    def life(self, object_id: int) -> Life:
        row = self._rows[object_id]
        present = int(self._present[row])
        iou = float(self._iou[row] / present) if present else 0.0
        return Life(present, int(self._returns[row]), int(self._jumps[row]), iou)

    def together(self, first: int, second: int) -> int:
        """Frames on which both have a mask."""
        return int(self._together[self._rows[first], self._rows[second]])

    def iou(self, first: int, second: int) -> float:
        """IoU of two masklets as volumes, over the frames on which both have a mask, 0 .. 1."""
        i, j = self._rows[first], self._rows[second]
        union = self._area[i, j] + self._area[j, i] - self._shared[i, j]
        return float(self._shared[i, j] / union) if union else 0.0

    def filled(self, outer: int, inner: int) -> int:
        """Frames on which one lies inside another and makes up most of it."""
        return int(self._filled[self._rows[outer], self._rows[inner]])


def _packed(counts: Sequence[np.ndarray], height: int, width: int) -> list[Any]:
    """Masks in pycocotools' form."""
    return coco.frPyObjects([{"size": [height, width], "counts": one} for one in counts], height, width)


def _insides(masks: list[Any], others: list[Any]) -> np.ndarray:
    """The share of each of N masks that lies in each of M others: float [N, M]."""
    return np.asarray(coco.iou(masks, others, [1] * len(others)))  # of a "crowd", divided by the mask's own area
