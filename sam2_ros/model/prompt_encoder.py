"""Clicks, boxes and masks as tokens (SAM paper, section 3 and appendix A; unchanged in SAM 2)."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor, nn

from sam2_ros.model.layers import LayerNorm2d
from sam2_ros.model.position import RandomFourier


class PointLabel(IntEnum):
    """What a point prompt means. A box is its two corners."""

    PADDING = -1
    NEGATIVE = 0
    POSITIVE = 1
    BOX_TOP_LEFT = 2
    BOX_BOTTOM_RIGHT = 3


def no_points(objects: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """What stands for "no prompt", of the dtype and on the device of a tensor: points [N, 1, 2], labels [N, 1]."""
    return like.new_zeros(objects, 1, 2), torch.full((objects, 1), PointLabel.PADDING, device=like.device)


class PromptEncoder(nn.Module):
    """Points become tokens, a mask becomes a map that is added to the image features."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pe_layer = RandomFourier(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=2, stride=2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, kernel_size=2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)

    def points(self, points: Tensor, labels: Tensor, height: int, width: int) -> Tensor:
        """Tokens of points, and one of padding behind them.

        The padding stands where SAM had a box of its own; since boxes are points here, it is always there.

        Args:
            points: x, y in pixels of the network's input, 0 at the centre of the first pixel: [N, P, 2].
            labels: `PointLabel` of each: int64 [N, P].
            height, width: of the network's input, pixels.

        Returns:
            [N, P + 1, dim].
        """
        n = points.shape[0]
        points = torch.cat((points, points.new_zeros(n, 1, 2)), dim=1)
        labels = torch.cat((labels, labels.new_full((n, 1), PointLabel.PADDING)), dim=1)[..., None]
        x, y = (points + 0.5).unbind(-1)
        where = self.pe_layer(torch.stack((x / width, y / height), dim=-1))
        kinds = torch.cat([embedding.weight for embedding in (self.not_a_point_embed, *self.point_embeddings)])
        return torch.where(labels == PointLabel.PADDING.value, 0.0, where) + kinds[labels[..., 0] + 1]

    def nothing(self) -> Tensor:
        """What `points` gives for `no_points`: [1, 2, dim]."""
        return self.not_a_point_embed.weight.repeat(1, 2, 1)

    def mask(self, logits: Tensor) -> Tensor:
        """Mask logits [N, 1, H / 4, W / 4] -> [N, dim, H / 16, W / 16]."""
        return self.mask_downscaling(logits)

    def no_mask(self) -> Tensor:
        """What stands for "no mask": [1, dim, 1, 1]."""
        return self.no_mask_embed.weight[:, :, None, None]
