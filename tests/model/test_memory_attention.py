"""Memory attention in training."""

import torch

from sam2_ros.model.memory_attention import MemoryTokens, RotaryAttention
from sam2_ros.model.position import axial_rotation


def test_weights_are_dropped_in_training_alone():
    """With a chance of 0.1 (Meta's code), beside what is dropped behind it."""
    torch.manual_seed(0)
    layer = RotaryAttention(32, dropout=0.1, key_dim=8)
    query, key = torch.randn(1, 16, 32), torch.randn(1, 16, 8)
    asked = query, MemoryTokens(key, key, 0), axial_rotation(4, 4, 32, torch.device("cpu"))
    assert not torch.equal(layer(*asked), layer(*asked))
    layer.eval()
    assert torch.equal(layer(*asked), layer(*asked))
