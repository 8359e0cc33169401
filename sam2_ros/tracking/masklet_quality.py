"""How good masklets are, from their run lengths alone: coverage, overlap with others, steadiness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco

JUMP_IOU = 0.3


def packed(counts: Sequence[np.ndarray], height: int, width: int) -> list[Any]:
    """Masks as pycocotools compares them, from their run lengths (`rle`)."""
    return coco.frPyObjects([{"size": [height, width], "counts": one} for one in counts], height, width)


def covered_share(counts: Sequence[np.ndarray], height: int, width: int) -> float:
    """The share of an image that masks cover together, 0 .. 1."""
    return float(coco.area(coco.merge(packed(counts, height, width)))) / (height * width) if counts else 0.0


def uncovered_shares(counts: Sequence[np.ndarray], known: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """For each of N masks, the share of its pixels that is in none of the known masks: float [N]."""
    if not counts or not known:
        return np.ones(len(counts))
    union = coco.merge(packed(known, height, width))
    return 1 - coco.iou(packed(counts, height, width), [union], [1])[:, 0]  # "crowd": divided by the mask's own area


@dataclass(frozen=True)
class Life:
    """One masklet over all frames of a recording."""

    present: int
    """Frames on which it has a mask."""
    returns: int
    """Times it came back after frames without a mask."""
    jumps: int
    """Times its mask shares less than `JUMP_IOU` (IoU) with that of the frame before."""
    iou: float
    """Mean predicted IoU where it is present, 0 .. 1."""
    smallest: float
    largest: float
    """Area of its mask, pixels: of a tenth of the frames it is below and above."""


class Lives:
    """What all masklets of a recording do, and how they overlap. Frames are added in order; masks are not kept.

    Args:
        object_ids: N IDs.
    """

    def __init__(self, object_ids: Sequence[int]) -> None:
        self.object_ids = tuple(object_ids)
        count = len(self.object_ids)
        self._rows = {object_id: row for row, object_id in enumerate(self.object_ids)}
        self._areas: list[list[int]] = [[] for _ in range(count)]
        self._ious: list[list[float]] = [[] for _ in range(count)]
        self._last: list[tuple[int, Any] | None] = [None] * count
        self._returns, self._jumps = np.zeros(count, int), np.zeros(count, int)
        self._frame = -1
        self.steps = {}
        self.present = np.zeros(count, int)
        self.together = np.zeros((count, count), int)
        """Frames on which both are present."""
        self.intersection = np.zeros((count, count))
        self.area = np.zeros((count, count))
        """Pixels of the first, on frames on which both are present."""
        self.covers = np.zeros((count, count), int)
        """Frames on which the first contains the second, which makes up half of it."""

    def add(
        self, object_ids: Sequence[int], counts: Sequence[np.ndarray], ious: Sequence[float], height: int, width: int
    ) -> None:
        self._frame += 1
        if not object_ids:
            return
        rows = np.array([self._rows[i] for i in object_ids])
        masks = packed(counts, height, width)
        areas = coco.area(masks).astype(float)
        pairs = np.ix_(rows, rows)
        inside = coco.iou(masks, masks, [1] * len(masks))  # share of the first that lies in the second
        shared = inside * areas[:, None]
        self.present[rows] += 1
        self.together[pairs] += 1
        self.intersection[pairs] += shared
        self.area[pairs] += areas[:, None]
        self.covers[pairs] += (inside.T >= 0.9) & (areas[None] >= 0.5 * areas[:, None])
        for row, mask, area, iou in zip(rows, masks, areas, ious, strict=True):
            last = self._last[row]
            if last is not None:
                if last[0] < self._frame - 1:
                    self._returns[row] += 1
                elif last[1]["size"] == mask["size"]:
                    step = coco.iou([last[1]], [mask], [0])[0, 0]
                    self._jumps[row] += step < JUMP_IOU
                    self.steps.setdefault(row, []).append(step)
            self._last[row] = self._frame, mask
            self._areas[row].append(int(area))
            self._ious[row].append(iou)
