"""Layer norm by its formula."""

import torch

from sam2_ros.acceleration.channel_norm import channel_norm
from sam2_ros.model.layers import LayerNorm2d


def test_equals_the_layer():
    norm, x = LayerNorm2d(4), torch.randn(2, 4, 5, 6) * 3 + 1
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    torch.testing.assert_close(channel_norm(norm, x), norm(x))
