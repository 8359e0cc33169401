"""Auxiliary loss of the image encoder: embeddings of pixels are similar within an object and differ between objects.

The paper's encoder is pretrained (MAE on a billion images) and needs no such loss. From random weights, dense
supervision teaches an encoder what an object is many times as fast as gradients that pass through the decoder (compare
Fathi et al. 2017, "Semantic instance segmentation via deep metric learning"). The layers here are dropped afterwards.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import ImageFeatures
from sam2_ros.training.losses import dice_loss
from sam2_ros.training.prompts import Chance, random_pixels


class Affinity(nn.Module):
    """Embeds every stride-4 cell and compares one cell of an object, on the first frame, with all cells of all frames.

    Args:
        config: of the model.
        dim: channels of an embedding.
    """

    def __init__(self, config: SAM2Config, dim: int = 32) -> None:
        super().__init__()
        self.stride4 = nn.Conv2d(config.dim // 8, dim, kernel_size=1)
        self.stride8 = nn.Conv2d(config.dim // 4, dim, kernel_size=1)
        self.stride16 = nn.Conv2d(config.dim, dim, kernel_size=1)
        self.scale = nn.Parameter(torch.tensor(12.0))
        self.threshold = nn.Parameter(torch.tensor(0.5))
        """Cosine similarity above which two cells belong to one object."""

    def embed(self, features: ImageFeatures) -> Tensor:
        """Embeddings of unit length: [B, dim, H / 4, W / 4]."""
        fine = self.stride4(features.stride4)
        for layer, x in ((self.stride8, features.stride8), (self.stride16, features.stride16)):
            fine = fine + F.interpolate(layer(x), fine.shape[2:], mode="bilinear")
        return F.normalize(fine.float(), dim=1)

    def forward(
        self, features: ImageFeatures, masks: Tensor, targets: Tensor, clip: Tensor, chance: Chance, count: Tensor
    ) -> Tensor:
        """The loss, a scalar: cross-entropy, in which object and background weigh the same, and dice.

        Args:
            features: of B clips of T frames.
            masks: bool [O, T, H, W], none empty on the first frame.
            targets: `coverage` of them: [O, T, H / 4, W / 4].
            clip: index of each object's clip: [O].
            chance: draws the reference cell of each object.
            count: divisor of the sum over objects and the frames on which they are visible, a scalar.
        """
        objects, frames = masks.shape[:2]
        cells = self.embed(features).unflatten(0, (-1, frames))[clip]  # [O, T, dim, h, w]
        column, row = (random_pixels(masks[:, 0], chance) / 4).long().unbind(dim=1)
        own = cells[torch.arange(objects, device=masks.device), 0, :, row, column]  # [O, dim]
        logits = self.scale * (torch.einsum("od,otdhw->othw", own, cells) - self.threshold)
        error = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        area, around = targets.sum(dim=(2, 3)), (1 - targets).sum(dim=(2, 3))
        inside = (error * targets).sum(dim=(2, 3)) / area.clamp(min=1 / 16)  # one pixel of a cell
        outside = (error * (1 - targets)).sum(dim=(2, 3)) / around.clamp(min=1)
        loss = (inside + outside) / 2 + dice_loss(logits, targets)
        return (loss * (area > 0)).sum() / count
