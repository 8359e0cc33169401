"""Attention with keys that do not count."""

import torch

from sam2_ros.model.attention import attention


def test_masked_attention_equals_shorter_attention():
    q, k, v = torch.randn(1, 2, 5, 8), torch.randn(1, 2, 7, 8), torch.randn(1, 2, 7, 8)
    valid = torch.tensor([[True] * 4 + [False] * 3])
    torch.testing.assert_close(attention(q, k, v, valid), attention(q, k[:, :, :4], v[:, :, :4]))
