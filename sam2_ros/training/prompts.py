"""Prompts as a user would give them, drawn from true masks (SAM 2 paper, appendix D.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_ros.model.prompt_encoder import PointLabel


class Chance:
    """Uniform random numbers for each of N objects.

    Processes that share a batch draw for all of its objects and use the numbers of their own, so that an object gets
    the same numbers for any number of processes.

    Args:
        generator: on the CPU; in the same state in all processes.
        objects: N.
        first, total: number of objects in earlier processes and in all processes; None: there are no others.
        device: of the numbers.
    """

    def __init__(
        self,
        generator: torch.Generator,
        objects: int,
        first: int = 0,
        total: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.generator = generator
        self.own = slice(first, first + objects)
        self.total = objects if total is None else total
        self.device = device

    def __call__(self, *shape: int) -> Tensor:
        """float32 [N, *shape], 0 <= x < 1."""
        return torch.rand(self.total, *shape, generator=self.generator)[self.own].to(self.device)


def random_pixels(masks: Tensor, chance: Chance) -> Tensor:
    """Draw one pixel of each mask uniformly: bool [N, H, W], none empty -> x, y as float32 [N, 2]."""
    inside = masks.flatten(1).cumsum(dim=1, dtype=torch.int32)
    count = inside[:, -1:]
    # The n-th pixel of each mask: many times as fast as `multinomial`, which draws a number for every pixel.
    nth = (chance(1) * count).int() + 1
    index = torch.searchsorted(inside, nth.minimum(count)).squeeze(1)
    width = masks.shape[2]
    return torch.stack((index % width, torch.div(index, width, rounding_mode="floor")), dim=1).float()


def clicks(masks: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Draw a positive click anywhere on each mask, a negative one anywhere in the image where the mask is empty.

    Args:
        masks: bool [N, H, W].

    Returns:
        points [N, 1, 2], labels [N, 1].
    """
    return _clicks(masks, masks, chance)


def _clicks(regions: Tensor, masks: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Draw a click in each region, or anywhere if that is empty; positive if it is on the mask."""
    points = random_pixels(regions | ~_any(regions)[:, None, None], chance)
    column, row = points.long().unbind(dim=1)
    positive = masks[torch.arange(len(masks), device=masks.device), row, column]
    return points[:, None], torch.where(positive, PointLabel.POSITIVE, PointLabel.NEGATIVE)[:, None]


def _any(masks: Tensor) -> Tensor:
    return masks.flatten(1).any(dim=1)


def boxes(masks: Tensor, chance: Chance, jitter: float = 0.1, most: float = 20.0) -> tuple[Tensor, Tensor]:
    """Draw a box around each mask, its sides moved by up to `jitter` of its size and `most` pixels.

    An empty mask has no box: it gets a negative click anywhere instead, and padding.

    Args:
        masks: bool [N, H, W].

    Returns:
        points: two corners, inside the image: [N, 2, 2]; labels: [N, 2].
    """
    height, width = masks.shape[1:]
    columns, rows = masks.any(dim=1).int(), masks.any(dim=2).int()  # argmax finds the first of equal values
    x0, x1 = columns.argmax(dim=1), width - columns.flip(1).argmax(dim=1)
    y0, y1 = rows.argmax(dim=1), height - rows.flip(1).argmax(dim=1)
    corners = torch.stack((x0, y0, x1, y1), dim=1).float()
    size = (corners[:, 2:] - corners[:, :2]).repeat(1, 2)
    shift = (chance(4) * 2 - 1) * (size * jitter).clamp(max=most)
    limit = torch.tensor([width, height, width, height], device=masks.device) - 1.0
    corners = (corners + shift).clamp(min=torch.zeros_like(limit), max=limit).unflatten(1, (2, 2))
    labels = torch.tensor([PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT], device=masks.device)

    points, negative = _clicks(masks, masks, chance)
    visible = _any(masks)[:, None]
    return (
        torch.where(visible[..., None], corners, points),
        torch.where(visible, labels, F.pad(negative, (0, 1), value=PointLabel.PADDING)),
    )


def corrections(logits: Tensor, masks: Tensor, chance: Chance, from_truth: float = 0.1) -> tuple[Tensor, Tensor]:
    """Draw a click in the error region of each prediction: positive on the mask, negative outside of it.

    Args:
        logits: of the prediction, above 0 inside: [N, h, w].
        masks: bool [N, H, W].
        from_truth: probability that a click lands anywhere on the true mask instead, as a positive one.

    Returns:
        points [N, 1, 2], labels [N, 1]. Where the prediction is right, the click lands on the mask, or, if that is
        empty too, anywhere as a negative one.
    """
    predicted = F.interpolate(logits[:, None].float(), masks.shape[1:], mode="bilinear")[:, 0] > 0
    wrong = predicted ^ masks
    on_mask = ((chance() < from_truth) | ~_any(wrong)) & _any(masks)
    return _clicks(torch.where(on_mask[:, None, None], masks, wrong), masks, chance)
