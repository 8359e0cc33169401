"""The answer to a box: of the decoder's four masks, the one whose own bounding box agrees best with the prompted one.

The paper takes the single mask for a box, which says best what is meant. A small network often fills a part of the box,
or leaves it, and then one of the other three may be right: a thing touches all four sides of its box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import ABSENT_LOGIT, Decoded
from sam2_ros.tracking.boxes import grown, overlaps
from sam2_ros.tracking.prompt import Box, Click

MARGIN = 0.05
"""A mask may leave its box by this share of the box's sides; the rest is cut off."""
OUTSIDE = -10.0
"""Logits of what is cut off, at most."""


def answer_to(
    config: SAM2Config, decoded: Decoded, box: Box | None, clicks: Sequence[Click], size: tuple[int, int]
) -> Decoded:
    """The answer of a network to a prompt: as decoded, unless the prompt is a box alone, and the network's config
    chooses by boxes. Clicks say what a box does not, even that the thing goes beyond it.

    Args:
        decoded: of one object.
        size: height and width of the image, pixels.
    """
    if box is None or clicks or not config.box_agreement:
        return decoded
    return fitted_to_box(decoded, box, *size)


def fitted_to_box(decoded: Decoded, box: Box, height: int, width: int) -> Decoded:
    """Choose among the four masks by the box that asked for them.

    The best has the largest product of predicted IoU and IoU of its bounding box with the prompted one. The object
    pointer stays that of the single mask.

    Args:
        decoded: of one object.
        box: in pixels of the image with this height and width.
    """
    logits = decoded.all_logits[0]
    h, w = logits.shape[1:]
    cells = Box(box.x * w / width, box.y * h / height, box.width * w / width, box.height * h / height)
    largest = grown(cells, MARGIN)
    rows = _are_within(largest.y, largest.y + largest.height, h, logits.device)
    columns = _are_within(largest.x, largest.x + largest.width, w, logits.device)
    logits = torch.where(rows[:, None] & columns, logits, logits.clamp(max=OUTSIDE))
    own = [Box(*cv2.boundingRect(mask.view(np.uint8))) for mask in (logits > 0).cpu().numpy()]
    agreement = overlaps(own, [cells])[:, 0]
    if not agreement.any():
        return decoded
    best = int((agreement * decoded.all_iou[0].float().cpu().numpy()).argmax())
    is_present = (decoded.presence_logit > 0)[:, None, None]
    return replace(
        decoded,
        mask_logits=torch.where(is_present, logits[None, best], ABSENT_LOGIT),
        visible_logits=logits[None, best],
        iou=decoded.all_iou[:, best],
    )


def _are_within(start: float, end: float, cells: int, device: torch.device) -> Tensor:
    """Whether the middle of each cell is between two places: bool [cells]."""
    middles = torch.arange(cells, device=device) + 0.5
    return (middles > start) & (middles < end)
