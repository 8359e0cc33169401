"""Memory attention in C++ equals the layer, for every CPU capability up to that of this CPU."""

import pytest
import torch
from cpu_capabilities import KINDS, NEEDS_KERNELS, use_library, with_random_weights

from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.cpu.kernels.memory_attention import (
    after_cross_attention,
    before_cross_attention,
    memory_keys,
)
from sam2_ros.acceleration.cpu.kernels.transformer import weights
from sam2_ros.acceleration.cpu.memory_attention import CPUMemoryAttentionLayer
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.memory_attention import MemoryAttention, MemoryAttentionLayer, MemoryTokens
from sam2_ros.model.position import axial_rotation, rotate

pytestmark = NEEDS_KERNELS

DEFAULT = CONFIGS["default"]
POINTERS = 3


@pytest.fixture(params=KINDS)
def kernels(request, monkeypatch):
    use_library(request.param, monkeypatch, "memory_attention")


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return with_random_weights(MemoryAttentionLayer(DEFAULT))


ROTATION = axial_rotation(5, 7, DEFAULT.dim, torch.device("cpu"))


def memory_of(objects: int, cells: int) -> MemoryTokens:
    value, key = torch.randn(2, objects, 2 * cells + POINTERS, DEFAULT.memory_dim)
    return MemoryTokens(value, key, POINTERS)


def close(result: torch.Tensor, expected: torch.Tensor) -> bool:
    return result.shape == expected.shape and bool((result - expected).abs().max() < 3e-6 * expected.abs().max())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("objects", "grid"), [(1, (18, 24)), (3, (5, 7)), (2, (1, 1))])
@torch.no_grad()
def test_equal_the_layer(monkeypatch, kernels, layer, objects, grid, threads):
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    cells, dim = grid[0] * grid[1], DEFAULT.dim
    within, across = layer.self_attn, layer.cross_attn_image
    rotation = axial_rotation(*grid, dim, torch.device("cpu"))
    x, memory = torch.randn(objects, cells, dim), memory_of(objects, cells)
    before = (layer.norm1, within.q_proj, within.k_proj, within.v_proj, within.out_proj, layer.norm2, across.q_proj)
    new, query = before_cross_attention(x, rotation, weights(*before), layer.norm1.eps)
    key = memory_keys(memory.key, rotation, across.k_proj.weight, across.k_proj.bias, POINTERS)
    attended = torch.randn(objects, cells, DEFAULT.memory_dim)
    after = (across.v_proj, across.out_proj, layer.norm3, layer.linear1, layer.linear2)
    rest = after_cross_attention(x, attended, weights(*after), layer.norm3.eps)
    shared = after_cross_attention(x[:1], attended, weights(*after), layer.norm3.eps)
    assert torch.equal(shared[0], rest[0])

    layer.double()
    x, attended, factors = x.double(), attended.double(), rotation.to(torch.complex128)

    def rotated(tokens, pointers=0):
        if grid == (1, 1):
            return rotate(tokens.float(), rotation, pointers).double()
        return _rotate_in_float64(tokens, factors, pointers)

    y = layer.norm1(x)
    q, k, v = rotated(within.q_proj(y)), rotated(within.k_proj(y)), within.v_proj(y)
    expected = x + within.out_proj((q @ k.mT * dim**-0.5).softmax(dim=-1) @ v)
    assert close(new, expected)
    assert close(query, rotated(across.q_proj(layer.norm2(expected))))
    assert close(key, rotated(across.k_proj(memory.key.double()), POINTERS))
    y = x + across.out_proj(across.v_proj(attended))
    assert close(rest, y + layer.linear2(layer.linear1(layer.norm3(y)).relu()))


def _rotate_in_float64(tokens: torch.Tensor, factors: torch.Tensor, pointers: int) -> torch.Tensor:
    spatial = tokens.shape[1] - pointers
    pairs = tokens[:, :spatial].unflatten(1, (-1, len(factors))).unflatten(-1, (-1, 2))
    pairs = torch.view_as_complex(pairs.contiguous())
    return torch.cat((torch.view_as_real(pairs * factors).flatten(-2).flatten(1, 2), tokens[:, spatial:]), dim=1)


@torch.no_grad()
def test_independent_of_threads_and_other_objects(monkeypatch, layer):
    twin = twin_of(layer, CPU_CLASSES, torch.float32)
    x, memory = torch.randn(1, 35, DEFAULT.dim), memory_of(3, 35)
    results = []
    for threads in (1, 2, 7):
        monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
        results.append(twin(x, memory, ROTATION))
    alone = [twin(x, MemoryTokens(memory.value[i, None], memory.key[i, None], POINTERS), ROTATION) for i in range(3)]
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])
    assert torch.equal(results[0], torch.cat(alone))


@torch.no_grad()
def test_no_objects_and_nan(layer):
    twin = twin_of(layer, CPU_CLASSES, torch.float32)
    x, memory = torch.randn(1, 35, DEFAULT.dim), memory_of(2, 35)
    none = MemoryTokens(memory.value[:0], memory.key[:0], POINTERS)
    assert twin(x, none, ROTATION).shape == (0, 35, DEFAULT.dim)
    memory.key[1, 50, 3] = torch.nan
    result = twin(x, memory, ROTATION)
    assert not result[0].isnan().any() and result[1].isnan().all()
    x[0, 34, 0] = torch.nan
    assert twin(x, memory, ROTATION).isnan().all()


@pytest.mark.parametrize("masked", [False, True])
@torch.no_grad()
def test_twin_uses_the_kernels_in_float32(monkeypatch, masked):
    torch.manual_seed(0)
    stack = MemoryAttention(DEFAULT).eval()
    features, position, memory = torch.randn(1, DEFAULT.dim, 5, 7), torch.randn(DEFAULT.dim, 5, 7), memory_of(3, 35)
    if masked:
        valid = torch.rand(3, memory.key.shape[1]) < 0.7
        memory = MemoryTokens(memory.value, memory.key, POINTERS, valid)
    plain = stack(features.expand(3, -1, -1, -1), position, memory)
    twin = twin_of(stack, CPU_CLASSES, torch.float32)
    assert all(layer.has_kernels for layer in twin.layers)
    result = twin(features, position, memory)
    assert not torch.equal(result, plain)  # equal: they would be the same code
    torch.testing.assert_close(result, plain, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr("sam2_ros.acceleration.cpu.memory_attention.MAX_VALUES", 0)
    torch.testing.assert_close(twin(features, position, memory), plain, rtol=1e-5, atol=1e-5)
    half = twin_of(stack, CPU_CLASSES, torch.bfloat16)  # where PyTorch is faster
    assert isinstance(half.layers[0], CPUMemoryAttentionLayer) and not half.layers[0].has_kernels
