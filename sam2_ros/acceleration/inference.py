"""A network in inference mode: without gradients, in a chosen precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from sam2_ros.acceleration.network import Network
from sam2_ros.acceleration.twin import prepare
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures, Memories


@dataclass(frozen=True)
class Choice:
    """Precision and kernels that compute a network."""

    dtype: torch.dtype
    """The precision; layers whose rounding would decide a result stay in float32."""
    kernels: str
    """"PyTorch", "C++ (AVX512, AMX)", "Triton" ..."""
    graphs: bool = False
    """Whether CUDA graphs of a stream's step are recorded."""

    @property
    def has_own_kernels(self) -> bool:
        """Whether kernels of this package are in use."""
        return not self.kernels.startswith(("PyTorch", "ONNX"))

    def __str__(self) -> str:
        graphs = ", CUDA graphs" if self.graphs else ""
        return f"{str(self.dtype).removeprefix('torch.')}, {self.kernels}{graphs}"


class Inference:
    """A `Network` made of the plain model or of its accelerated twin.

    Args:
        model: in eval mode. It is not copied.
        choice: the precision to compute in, and the kernels of the model.
    """

    def __init__(self, model: SAM2, choice: Choice) -> None:
        self.model = model
        self.choice = choice
        self.config: SAM2Config = model.config
        self.device: torch.device = model.device
        self.missing_weights = model.missing_weights
        self._weights = [held for part in model.modules() for held in (part._parameters, part._buffers) if held]
        self._state = self._weight_state()

    @contextmanager
    def mode(self) -> Iterator[None]:
        """Disable gradients, and enable autocast unless the precision is float32."""
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

    def _weight_state(self) -> tuple[int, int, int]:
        """A value that changes when weights are written to, replaced, or trained by a fused optimizer."""
        weights = [weight for held in self._weights for weight in held.values() if weight is not None]
        versions = sum(weight._version for weight in weights if not weight.is_inference())  # others have none
        return versions, sum(map(id, weights)), _OptimizerSteps.count

    def follow_weights(self) -> bool:
        """Prepare the twin again if weights have been loaded or trained since. Returns whether they have."""
        state = self._weight_state()
        if state == self._state:
            return False
        self._state = state
        prepare(self.model, self.choice.dtype)
        return True


class _OptimizerSteps:
    """Counts the steps of all optimizers in this process: fused ones do not raise the version of what they write."""

    count = 0

    @classmethod
    def add(cls, *_: Any) -> None:
        cls.count += 1


register_optimizer_step_post_hook(_OptimizerSteps.add)


def choice_of(network: Network) -> Choice:
    """The choice of a network; for a plain model, PyTorch in float32."""
    return getattr(network, "choice", Choice(torch.float32, "PyTorch"))
