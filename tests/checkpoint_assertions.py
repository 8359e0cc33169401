"""Assertions of tests of checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_model
from sam2_ros.model.sam2 import SAM2

Weights = dict[str, Tensor]


def assert_same_weights(a: SAM2, b: SAM2, tolerance: float = 0.0) -> None:
    weights = b.state_dict()
    assert a.state_dict().keys() == weights.keys()
    for key, value in a.state_dict().items():
        torch.testing.assert_close(value, weights[key], atol=tolerance, rtol=tolerance, msg=key)


def assert_loads(path: Path, weights: Weights) -> None:
    model = load_model(checkpoint=path, device="cpu")
    assert model.config.name == "default" and not model.missing_weights
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key]), key


def refused(path: str | Path, **options: str) -> str:
    """The message with which a checkpoint is refused."""
    with pytest.raises(CheckpointError) as error:
        load_model(checkpoint=path, device="cpu", **options)
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    return message


def prefixed(prefix: str, weights: Weights) -> Weights:
    return {prefix + key: value for key, value in weights.items()}
