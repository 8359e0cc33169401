"""A small network with random weights."""

import pytest
import torch

from sam2_ros.model import CONFIGS, SAM2


@pytest.fixture(scope="session")
def model() -> SAM2:
    """The default network at 64 pixels; objects are always present."""
    torch.manual_seed(0)
    model = SAM2(CONFIGS["default"].at(64)).eval()
    torch.nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 5.0)
    return model
