"""Answers of the network as masklets at the image's size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import ModuleType

import numpy as np
import torch

from sam2_ros.tracking.graphed_pixels import GraphedPixels
from sam2_ros.tracking.history import HistoryFrame
from sam2_ros.tracking.masklet import Masklet


def render_masks(
    frame: HistoryFrame, object_ids: Iterable[int], pixels: GraphedPixels | ModuleType, non_overlap: bool
) -> dict[int, np.ndarray]:
    """Masks of the objects that are present, bool [H, W], by ID.

    Args:
        pixels: the module `pixels`, or `GraphedPixels`.
        non_overlap: each pixel belongs to one of these objects at most.
    """
    present = [i for i in object_ids if i in frame.answers and frame.answers[i].presence_logit > 0]
    if not present:
        return {}
    answers = [frame.answers[object_id] for object_id in present]
    logits = torch.stack([answer.logits for answer in answers])
    prompted = {row: answer.exact_mask for row, answer in enumerate(answers) if answer.exact_mask is not None}
    masks = pixels.to_masks(logits, frame.image.height, frame.image.width, non_overlap, prompted)
    return dict(zip(present, masks, strict=True))


def masklets_of(
    frame: HistoryFrame, labels: Mapping[int, str], masks: Mapping[int, np.ndarray], box_min_part: float
) -> list[Masklet]:
    """A masklet for each object of `labels`, in its order.

    Args:
        labels: by object ID.
        masks: bool [H, W], by object ID. Objects without one are absent, or newer than the frame: they get an empty
            mask.
        box_min_part: as in `Masklet`.
    """
    size = frame.image.height, frame.image.width
    masklets = []
    for object_id, label in labels.items():
        answer = frame.answers.get(object_id)
        mask = masks[object_id] if object_id in masks else np.zeros(size, dtype=bool)
        present = bool(mask.any())
        presence = 0.0 if answer is None else _sigmoid(answer.presence_logit)
        masklets.append(
            Masklet(
                object_id=object_id,
                label=label,
                present=present,
                presence=presence if present or presence <= 0.5 else 0.0,  # no pixel of it is visible
                iou=0.0 if answer is None else answer.iou,
                mask=mask,
                box_min_part=box_min_part,
            )
        )
    return masklets


def _sigmoid(logit: float) -> float:
    return 0.5 * (1 + math.tanh(logit / 2))
