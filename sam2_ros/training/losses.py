"""Losses of predicted masks: focal, dice, IoU and object score (SAM 2 paper, appendix D.2).

All are computed on the decoder's own grid, stride 4, against the share of each cell that the object covers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_ros.model.mask_decoder import SINGLE
from sam2_ros.model.sam2 import Decoded
from sam2_ros.training.settings import NonNegative, Share


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses; the paper's by default."""

    focal: NonNegative = 20.0
    cross_entropy: NonNegative = 0.0
    """Plain cross-entropy of pixels, which fills masks sooner in short trainings. Paper: 0."""
    dice: NonNegative = 1.0
    iou: NonNegative = 1.0
    presence: NonNegative = 1.0
    affinity: NonNegative = 0.0
    """Weight of the loss of `training.affinity`, for image encoders that start from random weights. Paper: 0."""
    shared: Share = 0.0
    """Share of the mask losses that all four masks learn from, instead of the best of the requested ones alone.

    At 1, no mask can win by always predicting one half of the image without attending to the click, where a network
    that starts from random weights otherwise stays for thousands of steps. Paper: 0."""


PAPER_LOSSES = LossWeights()


@dataclass(frozen=True)
class Losses:
    """Mean losses over objects: scalars."""

    total: Tensor
    """Weighted sum of the others."""
    pixels: Tensor
    """Focal loss and cross-entropy, weighted."""
    dice: Tensor
    iou: Tensor
    presence: Tensor


def coverage(masks: Tensor) -> Tensor:
    """Share of each stride-4 cell that the object covers: bool [..., H, W] -> float32 0 .. 1 [..., H / 4, W / 4]."""
    cells = F.avg_pool2d(masks.flatten(0, -3).float(), kernel_size=4)
    return cells.unflatten(0, masks.shape[:-2])


def focal_loss(logits: Tensor, target: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss (Lin et al. 2017), mean over pixels: [..., h, w] -> [...]; targets 0 .. 1."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    error = (logits.sigmoid() - target).abs()
    weight = alpha * target + (1 - alpha) * (1 - target)
    return (weight * error**gamma * cross_entropy).mean(dim=(-2, -1))


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - Dice of soft masks, smoothed by one pixel (Milletari et al. 2016): [..., h, w] -> [...]."""
    probability = logits.sigmoid()
    overlap = 2 * (probability * target).sum(dim=(-2, -1)) + 1
    return 1 - overlap / ((probability + target).sum(dim=(-2, -1)) + 1)


def iou(logits: Tensor, target: Tensor) -> Tensor:
    """IoU of logits above 0 with targets above one half: [..., h, w] -> [...].

    0 where both are empty: a visible object may be too small to cover half of any cell.
    """
    mask, truth = logits > 0, target > 0.5
    union = (mask | truth).sum(dim=(-2, -1))
    return (mask & truth).sum(dim=(-2, -1)) / union.clamp(min=1)


def losses(
    decoded: Decoded,
    target: Tensor,
    present: Tensor,
    multimask: bool,
    weights: LossWeights = PAPER_LOSSES,
    visible_count: Tensor | None = None,
    count: Tensor | None = None,
) -> Losses:
    """Losses of N objects on one frame.

    Of three candidates, the best one learns the mask, and all learn to predict their IoU. Where the object is absent,
    only the object score is trained.

    Args:
        decoded: for N objects.
        target: `coverage` of the true masks: [N, H / 4, W / 4].
        present: whether the object is visible: bool [N].
        multimask: the decoder was called for three candidates, not for the single mask.
        visible_count, count: divisors of sums over visible and over all objects, scalars; None: their numbers here.
            Processes that share a batch divide by their mean numbers, so that every object weighs the same.
    """
    requested = slice(SINGLE + 1, None) if multimask else slice(SINGLE, SINGLE + 1)
    logits = decoded.all_logits.float()
    target = target[:, None].expand_as(logits)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(-2, -1))
    pixels = weights.focal * focal_loss(logits, target) + weights.cross_entropy * cross_entropy
    dice = dice_loss(logits, target)
    best = (pixels + weights.dice * dice)[:, requested].argmin(dim=1, keepdim=True)
    trained = slice(None) if weights.shared else requested
    iou_error = (decoded.all_iou.float() - iou(logits, target))[:, trained].abs().mean(dim=1)

    visible = present.float()
    if visible_count is None:
        visible_count = visible.sum().clamp(min=1)

    def mean_visible(values: Tensor) -> Tensor:
        return (values * visible).sum() / visible_count

    def best_and_all(values: Tensor) -> Tensor:
        return torch.lerp(values[:, requested].gather(1, best).squeeze(1), values.mean(dim=1), weights.shared)

    pixels, dice = mean_visible(best_and_all(pixels)), mean_visible(best_and_all(dice))
    iou_loss = mean_visible(iou_error)
    presence = F.binary_cross_entropy_with_logits(decoded.presence_logit.float(), visible, reduction="sum")
    presence = presence / (len(visible) if count is None else count)
    total = pixels + weights.dice * dice + weights.iou * iou_loss + weights.presence * presence
    return Losses(total, pixels, dice, iou_loss, presence)
