"""The answer to a box: of the decoder's four masks, the one whose own bounding box agrees best with the prompted one.

The paper takes the single mask for a box, which says best what is meant. A small network often fills a part of the box,
or leaves it, and then one of the other three may be right: a thing touches all four sides of its box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import ABSENT_LOGIT, Decoded
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
    left, right = _cells(box.x, box.width, width, logits.shape[2])
    top, bottom = _cells(box.y, box.height, height, logits.shape[1])
    margin_x, margin_y = MARGIN * (right - left), MARGIN * (bottom - top)
    rows = _are_within(top - margin_y, bottom + margin_y, logits.shape[1], logits.device)
    columns = _are_within(left - margin_x, right + margin_x, logits.shape[2], logits.device)
    logits = torch.where(rows[:, None] & columns, logits, logits.clamp(max=OUTSIDE))
    ious = torch.stack([_iou_of_boxes(mask, left, top, right, bottom) for mask in logits > 0])
    if not ious.any():
        return decoded
    best = int((ious * decoded.all_iou[0]).argmax())
    is_present = (decoded.presence_logit > 0)[:, None, None]
    return replace(
        decoded,
        mask_logits=torch.where(is_present, logits[None, best], ABSENT_LOGIT),
        visible_logits=logits[None, best],
        iou=decoded.all_iou[:, best],
    )


def _cells(start: float, length: float, pixels: int, cells: int) -> tuple[float, float]:
    """Start and end of a side of the box, in cells of the logits."""
    return start * cells / pixels, (start + length) * cells / pixels


def _are_within(start: float, end: float, cells: int, device: torch.device) -> Tensor:
    """Whether the middle of each cell is between two places: bool [cells]."""
    middles = torch.arange(cells, device=device) + 0.5
    return (middles > start) & (middles < end)


def _iou_of_boxes(mask: Tensor, left: float, top: float, right: float, bottom: float) -> Tensor:
    """IoU of a mask's bounding box, bool [h, w], and another box; 0 for an empty mask."""
    rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
    if not len(rows):
        return mask.new_zeros((), dtype=torch.float32)
    own_top, own_bottom = rows[0, 0], rows[-1, 0] + 1
    own_left, own_right = columns[0, 0], columns[-1, 0] + 1
    common_height = (own_bottom.clamp(max=bottom) - own_top.clamp(min=top)).clamp(min=0)
    common_width = (own_right.clamp(max=right) - own_left.clamp(min=left)).clamp(min=0)
    common = common_height * common_width
    own = (own_bottom - own_top) * (own_right - own_left)
    return common / (own + (bottom - top) * (right - left) - common)
