"""Automatic masks of single images: how many of the true objects they find, and how many match none.

Nothing is prompted (`AutomaticMaskGenerator`). Frames of videos count as images.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.report import Curves, Report, Rows, Table, mean, percent
from sam2_ros.tracking.automatic_masks import AutomaticMask, AutomaticMaskGenerator

FOUND_IOU = 0.7
"""A true object is found by a mask with a higher IoU with it."""
IOUS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
"""Those of the curves."""


@dataclass(frozen=True, eq=False)
class SearchScore:
    """The automatic masks of one image beside its true objects."""

    object_ids: tuple[int, ...]
    """N objects: visible, and with a known mask."""
    iou: np.ndarray
    """Of each mask with each object: float [M, N]."""
    predicted_iou: Sequence[float]
    """Of each mask, by the network itself: M."""
    seconds: float
    """Time of the search."""

    @property
    def best(self) -> np.ndarray:
        """IoU of each object with the mask that fits best, 0 without masks: float [N]."""
        return self.iou.max(axis=0, initial=0.0)

    @property
    def found(self) -> int:
        """Number of objects that are found."""
        return int(np.count_nonzero(self.best > FOUND_IOU))

    @property
    def false(self) -> int:
        """Number of masks that match no true object. Several that match the same one are not false."""
        return int(np.count_nonzero(self.iou.max(axis=1, initial=0.0) <= FOUND_IOU))


@dataclass(frozen=True, eq=False)
class Searched:
    """One image with its automatic masks."""

    frame: int
    masks: Sequence[AutomaticMask]
    truth: np.ndarray
    """bool [N, H, W], in the order of `score.object_ids`."""
    score: SearchScore


def search(generator: AutomaticMaskGenerator, clip: Clip, every: int = 1) -> Iterator[Searched]:
    """Segment everything in every `every`-th annotated frame on which an object is visible."""
    annotated = 0
    for index, truth in enumerate(clip.masks):
        if truth is None:
            continue
        annotated += 1
        known = np.ones(len(truth), bool) if clip.known is None else clip.known[index]
        rows = np.flatnonzero(known & truth.any(axis=(1, 2)))
        if (annotated - 1) % every or not len(rows):
            continue
        image = clip.frames[index]
        start = time.perf_counter()
        masks = generator.generate(image)
        seconds = time.perf_counter() - start
        object_ids = tuple(clip.object_ids[row] for row in rows)
        iou = overlaps([one.mask for one in masks], truth[rows])
        score = SearchScore(object_ids, iou, [one.iou for one in masks], seconds)
        yield Searched(index, masks, truth[rows], score)


def overlaps(masks: Sequence[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """IoU of each of M masks, bool [H, W], with each of N others, bool [N, H, W]: float [M, N]."""
    iou = np.zeros((len(masks), len(truth)))
    areas = [np.count_nonzero(mask) for mask in masks]
    for column, true in enumerate(truth):
        x, y, width, height = cv2.boundingRect(true.view(np.uint8))
        window = np.s_[y : y + height, x : x + width]
        inside, true_area = true[window], np.count_nonzero(true)
        for row, mask in enumerate(masks):
            common = np.count_nonzero(mask[window] & inside)
            union = areas[row] + true_area - common
            iou[row, column] = common / union if union else 0.0
    return iou


def everything_report(
    settings: Mapping[str, str], scores: Mapping[str, Mapping[int, SearchScore]], rows: Rows, notes: Sequence[str] = ()
) -> Report:
    """Tables, and curves of the share of objects found over the IoU from which they count as found.

    Args:
        scores: scores of each clip, by frame.
    """

    def scores_of(clips: set[str]) -> list[SearchScore]:
        return [score for clip, by_frame in scores.items() if clip in clips for score in by_frame.values()]

    def best(clips: set[str]) -> list[float]:
        return [float(iou) for score in scores_of(clips) for iou in score.best]

    def found(clips: set[str], least: float) -> float:
        return mean(iou > least for iou in best(clips))

    def cells(clips: set[str]) -> list[str]:
        images = scores_of(clips)
        return [
            str(len(images)),
            str(len(best(clips))),
            percent(found(clips, FOUND_IOU)),
            percent(mean(best(clips))),
            f"{mean(len(score.iou) for score in images):.1f}" if images else "-",
            f"{mean(score.false for score in images):.1f}" if images else "-",
            f"{1000 * np.median([score.seconds for score in images]):.0f}" if images else "-",
        ]

    columns = ["images", "objects", f"found (IoU > {FOUND_IOU})", "best IoU", "masks", "false masks", "ms"]
    tables = [
        Table(heading, columns, [(name, cells(clips)) for name, clips in parts.items()])
        for heading, parts in rows.tables().items()
    ]
    lines = {name: (IOUS, [found(clips, least) for least in IOUS]) for name, clips in rows.lines().items()}
    everywhere = set(scores)
    images = scores_of(everywhere)
    data = {
        "found": found(everywhere, FOUND_IOU),
        "best_iou": mean(best(everywhere)),
        "masks_per_image": mean(len(score.iou) for score in images),
        "false_masks_per_image": mean(score.false for score in images),
        "ms_per_image": float(np.median([1000 * score.seconds for score in images])) if images else float("nan"),
        "images": [
            {
                "clip": clip,
                "frame": frame,
                "object_ids": list(score.object_ids),
                "best_iou": score.best.tolist(),
                "masks": len(score.iou),
                "false_masks": score.false,
                "predicted_iou": list(score.predicted_iou),
                "iou": score.iou.max(axis=1, initial=0.0).tolist(),
                "ms": 1000 * score.seconds,
            }
            for clip, by_frame in scores.items()
            for frame, score in by_frame.items()
        ],
    }
    note = (
        "Found: share of true objects that a mask matches, in percent; best IoU: mean over objects of the IoU of the"
        " mask that fits best, in percent. Masks, and false ones, which match no true object: mean number an image."
        " Masks of parts of objects are false ones, and where not everything in an image is annotated, true masks of"
        " other things, too: then their number is an upper bound. ms: median time an image."
    )
    return Report(settings, tables, [note, *notes], data, Curves(lines, "IoU above which an object is found", "found"))
