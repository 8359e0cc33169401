"""Single images: how good a mask is after one click, two, up to five.

SAM 2 paper, section 6.2 and appendix E.3. The first click is at the object's centre, each further one at the centre of
the largest error of the mask so far, which goes into the network with it. Frames of videos count as images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.prompts import error_click
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.evaluation.report import Curves, Report, Rows, Table, mean, percent
from sam2_ros.tracking.image_predictor import ImagePredictor
from sam2_ros.tracking.prompt import Click
from sam2_ros.tracking.tracker import EARLIER_LOGITS_LIMIT

CLICKS = 5


@dataclass(frozen=True, eq=False)
class Segmented:
    """One object on one image."""

    clip: str
    frame: int
    object_id: int
    clicks: Sequence[Click]
    masks: Sequence[np.ndarray]
    """After each of the clicks, bool [H, W]. There are less than CLICKS where a mask became the truth."""
    iou: Sequence[float]
    """After 1 .. CLICKS clicks; where no more were needed, the last one's."""


def segment(predictor: ImagePredictor, clip: Clip, every: int = 1) -> Iterator[list[Segmented]]:
    """Clicks on every visible object of every `every`-th annotated frame, and yields them frame by frame.

    Of one click's three candidate masks, the one counts that the network predicts to be the best.
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
    for _ in range(CLICKS):
        click = error_click(mask, truth)
        if click is None:
            break
        clicks.append(click)
        candidates = predictor.predict(clicks, mask_logits=logits, multimask=len(clicks) == 1)
        mask = candidates.masks[0]
        logits = candidates.logits[0].clamp(-EARLIER_LOGITS_LIMIT, EARLIER_LOGITS_LIMIT)
        masks.append(mask)
        iou.append(region_similarity(mask, truth))
    return Segmented(clip, frame, object_id, clicks, masks, [*iou, *iou[-1:] * (CLICKS - len(iou))])


def image_report(
    settings: Mapping[str, str],
    iou: Mapping[str, Mapping[tuple[int, int], Sequence[float]]],
    rows: Rows,
    notes: Sequence[str] = (),
) -> Report:
    """Tables and curves of the mean IoU over clicks.

    Args:
        iou: of each clip, by frame and object ID: after 1 .. CLICKS clicks.
    """
    numbers = list(range(1, CLICKS + 1))

    def curve(clips: set[str]) -> list[float]:
        masks = [values for clip, of_clip in iou.items() if clip in clips for values in of_clip.values()]
        return [mean(values[n] for values in masks) for n in range(CLICKS)]

    tables = [
        Table(
            heading,
            ["images", "masks", *(f"{n} click{'s' * (n > 1)}" for n in numbers)],
            [(name, [*_sizes(iou, clips), *map(percent, curve(clips))]) for name, clips in parts.items()],
        )
        for heading, parts in rows.tables().items()
    ]
    lines = {name: (numbers, curve(clips)) for name, clips in rows.lines().items()}
    data = {
        "miou": lines["all"][1],
        "masks": [
            {"clip": clip, "frame": frame, "object_id": object_id, "iou": values}
            for clip, of_clip in iou.items()
            for (frame, object_id), values in of_clip.items()
        ],
    }
    note = "Mean IoU over masks, in percent, after so many clicks."
    return Report(settings, tables, [note, *notes], data, Curves(lines, "clicks", "mIoU"))


def _sizes(iou: Mapping[str, Mapping[tuple[int, int], Sequence[float]]], clips: set[str]) -> list[str]:
    masks = [(clip, frame) for clip in iou if clip in clips for frame, _ in iou[clip]]
    return [str(len(set(masks))), str(len(masks))]
