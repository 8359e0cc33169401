"""Weights to a file: Meta's `.pt`, or our own `.safetensors`."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.weights import is_finite
from sam2_ros.model.sam2 import SAM2


def save_official(model: SAM2, path: str | Path) -> None:
    """Write Meta's format, float32, so that Meta's code and everything built on it can read the weights.

    Of a model whose weights came without a memory, the memory is left out again.

    Raises:
        CheckpointError: weights are NaN or infinite; nothing is written.
    """
    weights = _weights_of(model, torch.float32)
    with open(path, "wb") as file:  # whose errors say what is wrong
        torch.save({"model": weights}, file)


def save_weights(model: SAM2, path: str | Path, dtype: torch.dtype = torch.float16) -> None:
    """Write our own format: `safetensors` with Meta's names, in half precision.

    What half precision cannot hold is written as float32. Otherwise as `save_official`.
    """
    weights = _weights_of(model, dtype)
    Path(path).write_bytes(save(weights))  # its save_file would let nobody else read it


def _weights_of(model: SAM2, dtype: torch.dtype) -> dict[str, Tensor]:
    """What there is to save. Weights that came from nowhere are left out, so that nobody takes them for learnt ones."""
    weights = {}
    for key, value in model.state_dict().items():
        if key in model.missing_weights:
            continue
        if not is_finite(value):
            raise CheckpointError(f"{key} holds NaN or infinity, and is not saved. Training has diverged.")
        rounded = value.detach().to(dtype)
        if not is_finite(rounded):  # beyond the largest number of half precision
            rounded = value.detach().float()
        weights[key] = rounded.cpu().contiguous()
    return weights
