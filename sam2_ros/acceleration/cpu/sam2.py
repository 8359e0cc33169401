"""The whole network on CPUs."""

from __future__ import annotations

from torch import Tensor

from sam2_ros.acceleration.cached import CachedSAM2
from sam2_ros.acceleration.cpu.linear import linear
from sam2_ros.model.layers import in_float32
from sam2_ros.model.sam2 import ImageFeatures


class CPUSAM2(CachedSAM2):
    """Laterals of the fine levels and the decoder's 1x1 convolutions behind them as one product."""

    def encode_image(self, image: Tensor) -> ImageFeatures:
        stride4, stride8, stride16, stride32 = self.image_encoder.trunk(image)
        with in_float32(image):
            return ImageFeatures(
                linear(stride4.movedim(1, -1), *self.skip4).movedim(-1, 1),
                linear(stride8.movedim(1, -1), *self.skip8).movedim(-1, 1),
                self.image_encoder.neck.top_down(stride16, stride32),
            )
