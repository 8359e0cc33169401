"""An image after the image encoder."""

from __future__ import annotations

from dataclasses import dataclass

from sam2_ros.model.sam2 import ImageFeatures


@dataclass(frozen=True)
class EncodedImage:
    """The features of an image, which do not depend on the tracked objects."""

    height: int
    width: int
    features: ImageFeatures

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
