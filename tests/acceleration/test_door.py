"""accelerate() chooses precision and kernels."""

import pytest
import torch

from sam2_ros.acceleration import accelerate, accelerated, choice_of
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels


def test_default_precision_on_a_cpu_is_float32(model):
    assert choice_of(accelerate(model)).dtype == torch.float32
    assert choice_of(accelerate(model)).kernels.startswith("C++") == has_cpu_kernels(torch.float32)


def test_accelerated_networks_are_returned_unchanged(model):
    network = accelerate(model, torch.bfloat16)
    assert accelerated(network) is accelerated(network, torch.bfloat16) is network
    with pytest.raises(ValueError, match=r"computes in torch\.bfloat16, not in torch\.float32"):
        accelerated(network, torch.float32)
