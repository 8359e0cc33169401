"""A small network with random weights, and inputs for each of its functions."""

import pytest
import torch

from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.model.sam2 import Memories


@pytest.fixture(scope="session")
def model() -> SAM2:
    """The default network at 128 pixels; every parameter is random, objects are always present."""
    torch.manual_seed(0)
    model = SAM2(CONFIGS["default"].at(128)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(5.0)
    return model.requires_grad_(False)


@pytest.fixture(scope="session")
def image() -> torch.Tensor:
    return torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def memories(model) -> Memories:
    """Memories of two objects, one of which has fewer than the other."""
    generator, config = torch.Generator().manual_seed(2), model.config
    return Memories(
        torch.randn(2, 4, config.memory_dim, 8, 8, generator=generator),
        torch.arange(4).expand(2, -1),
        torch.randn(2, 5, config.dim, generator=generator),
        torch.arange(5).expand(2, -1),
        map_valid=torch.tensor([[True] * 4, [True, False, True, False]]),
        pointer_valid=torch.tensor([[True, False, True, True, True], [True] * 5]),
    )
