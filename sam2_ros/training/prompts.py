"""Prompts as a user would give them, drawn from true masks (SAM 2 paper, appendix D.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_ros.model.prompt_encoder import PointLabel


def random_pixels(masks: Tensor, generator: torch.Generator) -> Tensor:
    """One pixel of each mask, uniformly: bool [N, H, W], none empty -> x, y as float32 [N, 2].

    Raises:
        ValueError: a mask is empty.
    """
    inside = masks.flatten(1).cumsum(dim=1, dtype=torch.int32)
    count = inside[:, -1:]
    if not count.all():
        raise ValueError("a mask is empty: no pixel can be drawn from it")
    # The n-th pixel of each mask: many times as fast as `multinomial`, which draws a number for every pixel.
    nth = (torch.rand(count.shape, generator=generator) * count).int() + 1
    index = torch.searchsorted(inside, nth.clamp(max=count)).squeeze(1)
    width = masks.shape[2]
    return torch.stack((index % width, torch.div(index, width, rounding_mode="floor")), dim=1).float()


def clicks(masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A positive click anywhere on each mask: bool [N, H, W] -> points [N, 1, 2], labels [N, 1]."""
    points = random_pixels(masks, generator)[:, None]
    return points, torch.full(points.shape[:2], PointLabel.POSITIVE)


def boxes(masks: Tensor, generator: torch.Generator, jitter: float = 0.1, most: float = 20.0) -> tuple[Tensor, Tensor]:
    """The box of each mask, its sides moved by up to `jitter` of its size and `most` pixels.

    Args:
        masks: bool [N, H, W], none empty.

    Returns:
        points: two corners, inside the picture: [N, 2, 2]; labels: [N, 2].
    """
    height, width = masks.shape[1:]
    columns, rows = masks.any(dim=1).int(), masks.any(dim=2).int()  # argmax finds the first of equal values
    x0, x1 = columns.argmax(dim=1), width - columns.flip(1).argmax(dim=1)
    y0, y1 = rows.argmax(dim=1), height - rows.flip(1).argmax(dim=1)
    corners = torch.stack((x0, y0, x1, y1), dim=1).float()
    size = (corners[:, 2:] - corners[:, :2]).repeat(1, 2)
    shift = (torch.rand(corners.shape, generator=generator) * 2 - 1) * (size * jitter).clamp(max=most)
    limit = torch.tensor([width, height, width, height]) - 1.0
    corners = (corners + shift).clamp(min=torch.zeros(4), max=limit)
    labels = torch.tensor([PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT])
    return corners.unflatten(1, (2, 2)), labels.expand(len(masks), -1)


def corrections(
    logits: Tensor, masks: Tensor, generator: torch.Generator, from_truth: float = 0.1
) -> tuple[Tensor, Tensor]:
    """A click where each prediction is wrong, positive where the mask was missed, negative where it spilt.

    Args:
        logits: of the prediction, above 0 inside: [N, h, w].
        masks: bool [N, H, W].
        from_truth: probability that a click lands anywhere on the true mask instead, as a positive one.

    Returns:
        points [N, 1, 2], labels [N, 1]. Where nothing is wrong, the click lands on the mask, or, when that is empty
        too, as a negative one anywhere.
    """
    predicted = F.interpolate(logits[:, None].float(), masks.shape[1:], mode="bilinear")[:, 0] > 0
    wrong = predicted ^ masks
    on_mask = torch.rand(len(masks), generator=generator) < from_truth
    on_mask |= ~wrong.flatten(1).any(dim=1)
    on_mask &= masks.flatten(1).any(dim=1)
    region = torch.where(on_mask[:, None, None], masks, wrong)
    region |= ~region.flatten(1).any(dim=1)[:, None, None]
    points = random_pixels(region, generator)
    column, row = points.long().unbind(dim=1)
    positive = masks[torch.arange(len(masks)), row, column]
    return points[:, None], torch.where(positive, PointLabel.POSITIVE, PointLabel.NEGATIVE)[:, None]
