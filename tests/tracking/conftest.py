"""A small network with random weights, and images."""

import numpy as np
import pytest
import torch

from sam2_ros.model import CONFIGS, SAM2


@pytest.fixture(scope="session")
def model() -> SAM2:
    """The default network at 64 pixels; every parameter is random, objects are always present."""
    torch.manual_seed(0)
    model = SAM2(CONFIGS["default"].at(64)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(5.0)
    return model


@pytest.fixture
def images() -> list[np.ndarray]:
    """40 different pictures of 80 x 60 pixels."""
    return list(np.random.default_rng(0).integers(0, 256, (40, 60, 80, 3), dtype=np.uint8))
