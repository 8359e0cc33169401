"""Single images: mask quality after 1 to 5 clicks.

SAM 2 paper, section 6.2 and appendix E.3. The first click is at the object's centre, each further one at the centre of
the largest error of the last mask, whose logits are a prompt, too. Frames of videos count as images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.prompts import error_click
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.evaluation.report import Curves, Report, Rows, Table, mean, percent
from sam2_ros.tracking.image_predictor import ImagePredictor
from sam2_ros.tracking.prompt import Click

CLICKS = 5


class ImageScore(NamedTuple):
    """IoU of the masks of one object on one image."""

    clicks: Sequence[float]
    """IoU after 1 .. CLICKS clicks; that of the last click if fewer were needed."""
    best: float
    """Highest IoU of the first click's three candidates."""
    single: float
    """IoU of the first click's single mask, without multimask output."""


@dataclass(frozen=True, eq=False)
class Segmented:
    """One object on one image."""

    clip: str
    frame: int
    object_id: int
    clicks: Sequence[Click]
    masks: Sequence[np.ndarray]
    """Mask after each click, bool [H, W]; fewer than CLICKS if a mask equals the truth."""
    score: ImageScore


def segment(predictor: ImagePredictor, clip: Clip, every: int = 1) -> Iterator[list[Segmented]]:
    """Click on every visible object of every `every`-th annotated frame, and yield the results frame by frame.

    Of one click's three candidate masks, the one with the highest predicted IoU counts.
    """
    annotated = 0
    for index, truth in enumerate(clip.masks):
        if truth is None:
            continue
        annotated += 1
        if (annotated - 1) % every == 0 and truth.any():
            predictor.set_image(clip.frames[index])
            visible = [row for row in range(len(truth)) if truth[row].any()]
            yield [_click(predictor, clip.name, index, clip.object_ids[row], truth[row]) for row in visible]


def _click(predictor: ImagePredictor, clip: str, frame: int, object_id: int, truth: np.ndarray) -> Segmented:
    mask, logits = np.zeros_like(truth), None
    clicks: list[Click] = []
    masks: list[np.ndarray] = []
    iou: list[float] = []
    best = single = 0.0
    for _ in range(CLICKS):
        click = error_click(mask, truth)
        if click is None:
            break
        clicks.append(click)
        candidates = predictor.predict(clicks, mask_logits=logits, multimask=len(clicks) == 1)
        if len(clicks) == 1:
            best = max(region_similarity(candidate, truth) for candidate in candidates.masks)
            single = region_similarity(predictor.predict(clicks, multimask=False).masks[0], truth)
        mask = candidates.masks[0]
        logits = candidates.logits[0]
        masks.append(mask)
        iou.append(region_similarity(mask, truth))
    score = ImageScore([*iou, *iou[-1:] * (CLICKS - len(iou))], best, single)
    return Segmented(clip, frame, object_id, clicks, masks, score)


def image_report(
    settings: Mapping[str, str],
    scores: Mapping[str, Mapping[tuple[int, int], ImageScore]],
    rows: Rows,
    notes: Sequence[str] = (),
) -> Report:
    """Tables and curves of the mean IoU over clicks.

    Args:
        scores: scores of each clip, by frame and object ID.
    """
    numbers = list(range(1, CLICKS + 1))

    def scores_of(clips: set[str]) -> list[ImageScore]:
        return [score for clip, by_object in scores.items() if clip in clips for score in by_object.values()]

    def curve(clips: set[str]) -> list[float]:
        return [mean(score.clicks[n] for score in scores_of(clips)) for n in range(CLICKS)]

    def cells(clips: set[str]) -> list[str]:
        first = [mean(score.best for score in scores_of(clips)), mean(score.single for score in scores_of(clips))]
        return [*_sizes(scores, clips), *map(percent, curve(clips) + first)]

    tables = [
        Table(
            heading,
            ["images", "masks", *(f"{n} click{'s' * (n > 1)}" for n in numbers), "best of 3", "single"],
            [(name, cells(clips)) for name, clips in parts.items()],
        )
        for heading, parts in rows.tables().items()
    ]
    lines = {name: (numbers, curve(clips)) for name, clips in rows.lines().items()}
    data = {
        "miou": lines["all"][1],
        "masks": [
            {
                "clip": clip,
                "frame": frame,
                "object_id": object_id,
                "iou": score.clicks,
                "best_of_3": score.best,
                "single": score.single,
            }
            for clip, by_object in scores.items()
            for (frame, object_id), score in by_object.items()
        ],
    }
    note = (
        "Mean IoU over masks, in percent, by the number of clicks. After one click, the mask with the highest predicted"
        " IoU of three candidates counts; best of 3: the best of them; single: the mask without multimask output."
    )
    return Report(settings, tables, [note, *notes], data, Curves(lines, "clicks", "mIoU"))


def _sizes(scores: Mapping[str, Mapping[tuple[int, int], ImageScore]], clips: set[str]) -> list[str]:
    masks = [(clip, frame) for clip in scores if clip in clips for frame, _ in scores[clip]]
    return [str(len(set(masks))), str(len(masks))]
