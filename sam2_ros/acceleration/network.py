"""The interface between the tracker and any implementation of the network."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import Decoded, ImageFeatures, Memories


class Network(Protocol):
    """SAM 2 as five functions of tensors, and `track`, the step of a stream that combines them.

    Implemented by the plain model (`SAM2`), its accelerated twin (`Inference`), recorded graphs (`GraphedNetwork`) and
    exported ones (`OnnxNetwork`). Shapes, arguments and results are those of `SAM2`.
    """

    @property
    def config(self) -> SAM2Config:
        """Sizes of the network and of its input."""

    @property
    def device(self) -> torch.device:
        """Device of inputs and outputs."""

    def encode_image(self, image: Tensor) -> ImageFeatures: ...

    def condition(self, features: ImageFeatures, memories: Memories | None) -> Tensor: ...

    def decode(
        self,
        conditioned: Tensor,
        features: ImageFeatures,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        mask_prompt: Tensor | None = None,
        multimask: bool | Tensor = True,
    ) -> Decoded: ...

    def decode_mask(self, features: ImageFeatures, mask: Tensor) -> Decoded: ...

    def encode_memory(
        self, features: ImageFeatures, mask_logits: Tensor, presence_logit: Tensor, prompted: bool | Tensor
    ) -> Tensor: ...

    def track(self, features: ImageFeatures, memories: Memories) -> tuple[Decoded, Tensor]: ...


def joined(images: list[ImageFeatures]) -> ImageFeatures:
    """The features of several images as one batch."""
    return ImageFeatures(**{name: torch.cat([getattr(one, name) for one in images]) for name in vars(images[0])})
