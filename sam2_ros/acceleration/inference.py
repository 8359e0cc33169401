"""A network for inference: without gradients, in a chosen precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from sam2_ros.acceleration.network import Network
from sam2_ros.acceleration.twin import prepare
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures, Memories

_version = attrgetter("_version")


@dataclass(frozen=True)
class Choice:
    """The precision and the kernels of a network."""

    dtype: torch.dtype
    """The precision; where rounding would decide a result, it is float32 in any case."""
    kernels: str
    """"PyTorch", "C++ (AVX512, AMX)", "Triton" ..."""
    graphs: bool = False
    """Whether the step of a stream is recorded as CUDA graphs."""

    @property
    def has_own_kernels(self) -> bool:
        """Whether `kernels` has some of this package."""
        return not self.kernels.startswith(("PyTorch", "ONNX"))

    def __str__(self) -> str:
        graphs = ", CUDA graphs" if self.graphs else ""
        return f"{str(self.dtype).removeprefix('torch.')}, {self.kernels}{graphs}"


class Inference:
    """A `Network` made of the plain model or of its accelerated twin.

    Args:
        model: in eval mode; remains unchanged, and its weights are not copied.
        choice: the precision to compute in, and the kernels of the model.
    """

    def __init__(self, model: SAM2, choice: Choice) -> None:
        self.model = model
        self.choice = choice
        self.config: SAM2Config = model.config
        self.device: torch.device = model.device
        self.missing_weights = model.missing_weights
        weights = (*model.parameters(), *model.buffers())
        self._weights = [weight for weight in weights if not weight.is_inference()]  # others have no version
        self._versions = self._changes()

    @contextmanager
    def mode(self) -> Iterator[None]:
        """Context without gradients, and with autocast unless the precision is float32."""
        dtype = self.choice.dtype
        with torch.no_grad(), torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            yield

    def encode_image(self, image: Tensor) -> ImageFeatures:
        self.follow_weights()
        with self.mode():
            return self.model.encode_image(image)

    def condition(self, features: ImageFeatures, memories: Memories | None) -> Tensor:
        with self.mode():
            return self.model.condition(features, memories)

    def decode(self, *args: Any, **kwargs: Any) -> Decoded:
        with self.mode():
            return self.model.decode(*args, **kwargs)

    def decode_mask(self, features: ImageFeatures, mask: Tensor) -> Decoded:
        with self.mode():
            return self.model.decode_mask(features, mask)

    def encode_memory(
        self, features: ImageFeatures, mask_logits: Tensor, presence_logit: Tensor, prompted: bool | Tensor
    ) -> Tensor:
        with self.mode():
            return self.model.encode_memory(features, mask_logits, presence_logit, prompted)

    def track(self, features: ImageFeatures, memories: Memories) -> tuple[Decoded, Tensor]:
        with self.mode():
            return self.model.track(features, memories)

    def _changes(self) -> int:
        """Number of times the weights have been written to."""
        return sum(map(_version, self._weights))

    def follow_weights(self) -> bool:
        """Prepare the twin again if its weights have been loaded or trained since; returns whether they were."""
        versions = self._changes()
        if versions == self._versions:
            return False
        self._versions = versions
        prepare(self.model, self.choice.dtype)
        return True


def choice_of(network: Network) -> Choice:
    """The `Choice` of a network; for the plain model, which has none: PyTorch in float32."""
    return getattr(network, "choice", Choice(torch.float32, "PyTorch"))
