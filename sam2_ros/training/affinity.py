"""A helping loss: pixels of one thing look alike to the image encoder, pixels of different things do not.

The paper does not need it, since its encoder arrives pretrained (MAE on a billion pictures). An encoder that starts
from nothing learns what a thing is many times as fast when every pixel says so than when a click has to pass through
the decoder first (compare Fathi et al. 2017, "Semantic instance segmentation via deep metric learning"). The layers
here are thrown away after training.
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
        config: of the network.
        dim: channels of an embedding.
    """

    def __init__(self, config: SAM2Config, dim: int = 32) -> None:
        super().__init__()
        self.stride4 = nn.Conv2d(config.dim // 8, dim, kernel_size=1)
        self.stride8 = nn.Conv2d(config.dim // 4, dim, kernel_size=1)
        self.stride16 = nn.Conv2d(config.dim, dim, kernel_size=1)
        self.scale = nn.Parameter(torch.tensor(12.0))
        self.threshold = nn.Parameter(torch.tensor(0.5))
        """Cosine similarity above which two cells belong together."""

    def embed(self, features: ImageFeatures) -> Tensor:
        """Unit vectors: [B, dim, H / 4, W / 4]."""
        fine = self.stride4(features.stride4)
        for layer, x in ((self.stride8, features.stride8), (self.stride16, features.stride16)):
            fine = fine + F.interpolate(layer(x), fine.shape[2:], mode="bilinear")
        return F.normalize(fine.float(), dim=1)

    def forward(
        self, features: ImageFeatures, masks: Tensor, targets: Tensor, clip: Tensor, chance: Chance, count: Tensor
    ) -> Tensor:
        """The loss, a scalar: cross-entropy, with object and surroundings weighing the same, and dice.

        Args:
            features: of B clips of T frames.
            masks: bool [O, T, H, W], none empty on the first frame.
            targets: `coverage` of them: [O, T, H / 4, W / 4].
            clip: which clip each object is in: [O].
            chance: draws the cell that stands for each object.
            count: what the sum over all objects and frames on which they can be seen is divided by, a scalar.
        """
        objects, frames = masks.shape[:2]
        cells = self.embed(features).unflatten(0, (-1, frames))[clip]  # [O, T, dim, h, w]
        column, row = (random_pixels(masks[:, 0], chance) / 4).long().unbind(dim=1)
        own = cells[torch.arange(objects, device=masks.device), 0, :, row, column]  # [O, dim]
        logits = self.scale * (torch.einsum("od,otdhw->othw", own, cells) - self.threshold)
        error = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        area, around = targets.sum(dim=(2, 3)), (1 - targets).sum(dim=(2, 3))
        inside = (error * targets).sum(dim=(2, 3)) / area.clamp(min=1 / 16)  # of a cell: one pixel
        outside = (error * (1 - targets)).sum(dim=(2, 3)) / around.clamp(min=1)
        loss = (inside + outside) / 2 + dice_loss(logits, targets)
        return (loss * (area > 0)).sum() / count
