"""The crops in which an image is searched: the whole, and layers of smaller, overlapping ones (SAM, appendix B)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Crop:
    """A part of an image, in whole pixels."""

    left: int
    top: int
    right: int
    bottom: int
    layer: int = 0
    """0: the whole image; n: one of 4 ** n crops."""

    @property
    def area(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)

    def of(self, image: np.ndarray) -> np.ndarray:
        """The pixels of the crop: [H, W, ...] -> [h, w, ...]."""
        return image[self.top : self.bottom, self.left : self.right]

    def cuts(self, boxes: np.ndarray, height: int, width: int, margin: float) -> np.ndarray:
        """Whether boxes end at an edge of the crop that is not an edge of the image: bool [N].

        Args:
            boxes: x0, y0, x1, y1 in pixels of the crop: [N, 4].
            height, width: of the image.
            margin: distance at which an edge counts as touched, pixels.
        """
        own = np.array([self.left, self.top, self.right, self.bottom])
        boxes = boxes + np.array([self.left, self.top, self.left, self.top])
        at_crop = np.abs(boxes - own) <= margin
        at_image = np.abs(boxes - np.array([0, 0, width, height])) <= margin
        return (at_crop & ~at_image).any(axis=1)


def crops_of(height: int, width: int, layers: int, overlap: float) -> list[Crop]:
    """The whole image, then for each layer n a grid of 2 ** n by 2 ** n crops.

    Args:
        overlap: of neighbouring crops in the first layer, as a share of the image's shorter side; halved from layer to
            layer.
    """
    crops = [Crop(0, 0, width, height)]
    for layer in range(1, layers + 1):
        per_side = 2**layer
        shared = int(overlap * min(height, width) * (2 / per_side))
        w, h = (math.ceil((shared * (per_side - 1) + side) / per_side) for side in (width, height))
        for left in (int((w - shared) * i) for i in range(per_side)):
            for top in (int((h - shared) * i) for i in range(per_side)):
                if left < width and top < height:  # an image of few pixels has fewer crops
                    crops.append(Crop(left, top, min(left + w, width), min(top + h, height), layer))
    return crops


def grid(per_side: int) -> np.ndarray:
    """Centres of a grid of cells over the unit square, row by row: x, y, float64 [per_side ** 2, 2]."""
    centres = (np.arange(per_side) + 0.5) / per_side
    x, y = np.meshgrid(centres, centres)
    return np.stack((x.ravel(), y.ravel()), axis=1)
