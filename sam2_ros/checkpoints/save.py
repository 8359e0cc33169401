"""Weights to a file: Meta's `.pt`, or our own `.safetensors`."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.weights import is_finite
from sam2_ros.model.sam2 import SAM2


def save_official(model: SAM2, path: str | Path) -> None:
    """Write Meta's format, float32, which Meta's code and everything built on it can read.

    A model that was loaded without weights for its memory is saved without them.

    Raises:
        CheckpointError: weights are NaN or infinite, or the model has none (exported graphs); nothing is written.
    """
    weights = _weights_of(model, torch.float32)
    with open(path, "wb") as file:  # its errors are clearer than torch.save's
        torch.save({"model": weights}, file)


def save_weights(model: SAM2, path: str | Path, dtype: torch.dtype = torch.float16) -> None:
    """Write our own format: `safetensors` with Meta's names, in half precision.

    Tensors that overflow in half precision are written as float32. Otherwise as `save_official`.
    """
    weights = _weights_of(model, dtype)
    Path(path).write_bytes(save(weights))  # save_file makes it readable by this user alone


def _weights_of(model: SAM2, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights to save, on the CPU. Those that were never loaded or trained are left out."""
    if not isinstance(model, nn.Module):
        raise CheckpointError(f"{type(model).__name__} has no weights to save. Give the SAM2 that it was made from.")
    weights = {}
    for key, value in model.state_dict().items():
        if key in model.missing_weights:
            continue
        if not is_finite(value):
            raise CheckpointError(f"{key} holds NaN or infinity, and is not saved. Training has diverged.")
        rounded = value.detach().to(dtype)
        if not is_finite(rounded):  # overflow in half precision
            rounded = value.detach().float()
        weights[key] = rounded.cpu().contiguous()
    return weights
