"""Every implementation of attention on CPUs equals the formula."""

import pytest
import torch

from sam2_ros.acceleration.cpu.attention import attention
from sam2_ros.acceleration.cpu.kernels.attention import cpu_attention
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 3, 33, 70, 16, 8), (1, 1, 100, 3000, 32, 8), (40, 2, 4, 16, 8, 8)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("amx", [False, True])
def test_blockwise_attention_equals_attention(monkeypatch, dtype, shape, masked, narrow, amx):
    module = "sam2_ros.acceleration.cpu.attention"
    monkeypatch.setattr(f"{module}.AMX", amx)  # either way is right on any CPU
    monkeypatch.setattr(f"{module}.has_cpu_kernels", lambda dtype: False)  # whose tests are elsewhere
    for limit, few in (("MAX_SCORES", 2**14), ("MAX_QUERIES", 16), ("MAX_KEYS", 32)):  # several blocks in some shape
        monkeypatch.setattr(f"{module}.{limit}", few)
    b, heads, queries, keys, dim, width = shape
    q, k = torch.randn(b, heads, queries, dim, dtype=dtype), 2 * torch.randn(b, heads, keys, dim, dtype=dtype)
    v = torch.randn(b, heads, keys, width if narrow else dim, dtype=dtype)
    valid = torch.rand(b, keys) < 0.7 if masked else None
    mask = torch.zeros(b, 1, 1, keys) if valid is None else torch.where(valid, 0.0, -torch.inf)[:, None, None]
    expected = (q.float() @ k.float().transpose(2, 3) / dim**0.5 + mask).softmax(dim=-1) @ v.float()
    with torch.no_grad():
        result = attention(q, k, v, valid)
    assert result.dtype == dtype
    limits = {} if dtype == torch.float32 else {"rtol": 0, "atol": 0.05}
    torch.testing.assert_close(result.float(), expected, **limits)


@pytest.mark.skipif(not has_cpu_kernels(torch.float32), reason="this processor has no kernels, or there is no g++")
def test_narrow_values_use_the_kernel(monkeypatch):
    query, key, value = torch.randn(1, 1, 50, 32), torch.randn(1, 1, 300, 32), torch.randn(1, 1, 300, 16)
    with torch.no_grad():
        result = attention(query, key, value)
        assert torch.equal(result, cpu_attention(query, key, value))
        monkeypatch.setattr("sam2_ros.acceleration.cpu.attention.has_cpu_kernels", lambda dtype: False)
        assert not torch.equal(result, attention(query, key, value))  # equal: they would be the same code
