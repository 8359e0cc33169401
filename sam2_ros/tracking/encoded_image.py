"""An image after the image encoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sam2_ros.model.sam2 import ImageFeatures


@dataclass(frozen=True)
class EncodedImage:
    """The features of an image, which do not depend on the tracked objects."""

    height: int
    width: int
    features: ImageFeatures
    pixels: np.ndarray | None = None
    """The image itself, or a reduced one, for a closer look: uint8 [H', W', 3], RGB. None: nobody will look closer."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the stride-16 features."""
        rows, columns = self.features.stride16.shape[2:]
        return rows, columns

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network's input, pixels."""
        rows, columns = self.grid
        return 16 * rows, 16 * columns
