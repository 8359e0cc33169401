"""oneDNN's matrix products equal PyTorch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sam2_ros.acceleration.cpu.linear import CPUPointwise, linear
from sam2_ros.acceleration.twin import twin_of


@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
@torch.no_grad()
def test_equals_pytorch(activation):
    layer, x = nn.Linear(64, 300), torch.randn(2, 2000, 64)  # large enough for oneDNN's product, where it is taken
    expected = layer(x) if activation == "none" else getattr(F, activation)(layer(x))
    result = linear(x, layer.weight, layer.bias, activation)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        half = linear(x, layer.weight, layer.bias, activation)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0.02, atol=0.02)


@torch.no_grad()
def test_only_1x1_convolutions_become_products():
    x = torch.randn(2, 6, 20, 24)
    convolutions = nn.Conv2d(6, 8, 1), nn.Conv2d(6, 8, 3), nn.Conv2d(6, 6, 1, groups=6), nn.Conv2d(6, 8, 1, stride=2)
    for convolution in convolutions:
        twin = twin_of(convolution, {nn.Conv2d: CPUPointwise}, torch.float32)
        assert isinstance(twin, CPUPointwise) == (convolution is convolutions[0])
        torch.testing.assert_close(twin(x), convolution(x), rtol=1e-5, atol=1e-5)
