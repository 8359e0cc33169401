"""Choice of PyTorch's kernel for attention on CUDA."""

import torch
from torch import nn

from sam2_ros.acceleration.cuda import attention
from sam2_ros.model.attention import attention as plain_attention


def test_cudnn_is_first_for_many_queries_and_keys(monkeypatch):
    orders = []
    real = nn.attention.sdpa_kernel

    def sdpa_kernel(backends, set_priority):
        orders.append(backends[0])
        return real(backends, set_priority)

    monkeypatch.setattr(nn.attention, "sdpa_kernel", sdpa_kernel)
    torch.manual_seed(0)
    before = torch._C._get_sdp_priority_order()
    for heads, queries, keys, cudnn in ((1, 2048, 1024, False), (16, 1024, 1024, True), (16, 1024, 1000, False)):
        query, key = torch.randn(1, heads, queries, 8), torch.randn(1, heads, keys, 8)
        result = attention.attention(query, key, key)
        torch.testing.assert_close(result, plain_attention(query, key, key))
        assert orders == cudnn * [nn.attention.SDPBackend.CUDNN_ATTENTION]
        orders.clear()
    assert torch._C._get_sdp_priority_order() == before
