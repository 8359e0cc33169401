"""Automatic masklets of clips: how many of the true objects they follow, and how many follow none.

Nothing is prompted (`recordings.everything`). All objects of a clip and all its masklets are compared over their whole
lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.everything import overlaps
from sam2_ros.evaluation.report import Curves, Report, Rows, Table, mean, percent
from sam2_ros.evaluation.scores import FOLLOWED_IOU
from sam2_ros.tracking.masklet import Frame

IOUS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
"""Those of the curves."""
COLUMNS = ("objects", "masklets", "rejected", "recall", "precision", "on objects", "switches", "IoU", "seconds")
NOTE = (
    f"Recall: share of the true objects that a masklet follows: their IoU, averaged over the frames on which one of"
    f" them is visible, is above {FOLLOWED_IOU}. Precision: share of masklets that follow a true object, each another"
    " one. On objects: the same, of the masklets that lie mostly on true objects, and not on what is not annotated."
    " Switches: times the masklet that fits an object best changes. IoU: mean over objects, of the masklet that follows"
    " it or would best. Seconds: median over clips."
)


@dataclass(frozen=True, eq=False)
class MaskletScore:
    """The automatic masklets of one clip beside its true objects."""

    iou: np.ndarray
    """Of each of M masklets with each of N objects, over their lives: float [M, N]."""
    on_objects: np.ndarray
    """Whether each masklet lies mostly on true objects: bool [M]."""
    switches: int
    rejected: int
    """Number of masklets that were found and rejected."""
    seconds: float

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Masklets and objects in pairs, so that the sum of their IoU is highest: rows and columns of `iou`."""
        return linear_sum_assignment(self.iou, maximize=True)

    def followed(self, least: float = FOLLOWED_IOU) -> int:
        """Number of pairs with a higher IoU."""
        return int(np.count_nonzero(self.iou[self.pairs()] > least))

    def followed_on_objects(self, least: float = FOLLOWED_IOU) -> int:
        """As `followed`, of the masklets that lie mostly on true objects."""
        rows, columns = self.pairs()
        return int(np.count_nonzero((self.iou[rows, columns] > least) & self.on_objects[rows]))

    @property
    def best(self) -> np.ndarray:
        """IoU of each object with the masklet that fits best, 0 without masklets: float [N]."""
        return self.iou.max(axis=0, initial=0.0)


def score_masklets(
    clip: Clip, masklet_ids: Sequence[int], frames: Iterable[Frame], rejected: int = 0, seconds: float = 0.0
) -> MaskletScore:
    """Compare masklets of a clip with its objects.

    Args:
        masklet_ids: M IDs.
        frames: one for each of the clip, in order.
    """
    row_of = {object_id: row for row, object_id in enumerate(masklet_ids)}
    sums = np.zeros((len(masklet_ids), len(clip.object_ids)))
    lives = np.zeros_like(sums)
    pixels, shared = np.zeros(len(masklet_ids)), np.zeros(len(masklet_ids))
    following: list[list[int]] = [[] for _ in clip.object_ids]
    for index, (truth, frame) in enumerate(zip(clip.masks, frames, strict=True)):
        if truth is None:
            continue
        known = np.ones(len(truth), bool) if clip.known is None else clip.known[index]
        present = [masklet for masklet in frame.masklets if masklet.present]
        rows = [row_of[masklet.object_id] for masklet in present]
        iou = overlaps([masklet.mask for masklet in present], truth)
        sums[rows] += iou * known
        seen = np.zeros(len(masklet_ids), bool)
        seen[rows] = True
        lives += (seen[:, None] | truth.any(axis=(1, 2))) & known
        anywhere = truth.any(axis=0)
        for row, masklet in zip(rows, present, strict=True):
            pixels[row] += np.count_nonzero(masklet.mask)
            shared[row] += np.count_nonzero(masklet.mask & anywhere)
        for column in np.flatnonzero(known & (iou.max(axis=0, initial=0.0) >= FOLLOWED_IOU)):
            following[column].append(present[int(iou[:, column].argmax())].object_id)
    return MaskletScore(
        iou=np.divide(sums, lives, out=np.zeros_like(sums), where=lives > 0),
        on_objects=shared > 0.5 * pixels,
        switches=sum(before != after for ids in following for before, after in pairwise(ids)),
        rejected=rejected,
        seconds=seconds,
    )


def masklets_report(
    settings: Mapping[str, str], scores: Mapping[str, MaskletScore], rows: Rows, notes: Sequence[str] = ()
) -> Report:
    """Tables, and curves of recall and precision over the IoU from which an object counts as followed."""

    def of(clips: set[str]) -> list[MaskletScore]:
        return [score for name, score in scores.items() if name in clips]

    def summary(clips: set[str], least: float = FOLLOWED_IOU) -> dict[str, float]:
        some = of(clips)
        followed = sum(score.followed(least) for score in some)
        return {
            "objects": sum(score.iou.shape[1] for score in some),
            "masklets": sum(score.iou.shape[0] for score in some),
            "rejected": sum(score.rejected for score in some),
            "recall": _share(followed, sum(score.iou.shape[1] for score in some)),
            "precision": _share(followed, sum(score.iou.shape[0] for score in some)),
            "precision_on_objects": _share(
                sum(score.followed_on_objects(least) for score in some),
                sum(int(score.on_objects.sum()) for score in some),
            ),
            "switches": sum(score.switches for score in some),
            "iou": mean(iou for score in some for iou in score.best),
            "seconds": float(np.median([score.seconds for score in some])) if some else float("nan"),
        }

    def cells(clips: set[str]) -> list[str]:
        row = summary(clips)
        counts = [f"{row[name]:.0f}" for name in ("objects", "masklets", "rejected")]
        shares = [percent(row[name]) for name in ("recall", "precision", "precision_on_objects")]
        return [*counts, *shares, f"{row['switches']:.0f}", percent(row["iou"]), f"{row['seconds']:.1f}"]

    tables = [
        Table(heading, COLUMNS, [(name, cells(clips)) for name, clips in parts.items()])
        for heading, parts in rows.tables().items()
    ]
    total = set(scores)
    lines = {name: (IOUS, [summary(total, least)[name] for least in IOUS]) for name in ("recall", "precision")}
    data = {
        "total": summary(total),
        "challenges": {name: summary(clips) for name, clips in rows.by_challenge().items()},
        "clips": {
            name: {**summary({name}), "iou_of_pairs": score.iou.tolist(), "on_objects": score.on_objects.tolist()}
            for name, score in scores.items()
        },
    }
    return Report(settings, tables, [NOTE, *notes], data, Curves(lines, "IoU with the object, more than", "share"))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
