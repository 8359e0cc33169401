"""Weights for tests of checkpoints."""

from __future__ import annotations

import pytest
import torch
from checkpoint_assertions import Weights

from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2


@pytest.fixture(scope="module")
def model() -> SAM2:
    """The default network with random weights."""
    torch.manual_seed(1)
    return SAM2(CONFIGS["default"])


@pytest.fixture(scope="module")
def weights(model: SAM2) -> Weights:
    """Random weights of the default network."""
    return {key: value.detach() for key, value in model.state_dict().items()}
