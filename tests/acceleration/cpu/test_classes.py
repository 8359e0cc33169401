"""Every faster class for CPUs equals the plain class that it replaces."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import nn

from sam2_ros.acceleration import accelerated, choice_of
from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.memory_attention import MemoryTokens
from sam2_ros.model.position import axial_rotation

TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.04}
"""Relative to the largest value."""


def tensors_of(output) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    parts = output if isinstance(output, (list, tuple)) else vars(output).values()
    return [tensor for part in parts for tensor in tensors_of(part)]


def recorded_calls(model, image, memories) -> dict[type[nn.Module], list[tuple]]:
    """Plain class -> its modules with their inputs, in one step of a stream and one prompt."""
    calls: dict[type[nn.Module], list[tuple]] = {}

    def record(module, args, kwargs):
        calls.setdefault(type(module), []).append((module, args, kwargs))

    hooks = [module.register_forward_pre_hook(record, with_kwargs=True) for module in model.modules()]
    try:
        features = model.encode_image(image)
        points, labels = torch.tensor([[[30.0, 40.0]]]), torch.ones(1, 1, dtype=torch.int64)
        decoded = model.decode(model.condition(features, None), features, points, labels)
        model.decode(model.condition(features, None), features, points, labels, decoded.mask_logits[:, None])
        model.track(features, memories)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


@pytest.fixture(scope="module")
def calls(model, image, memories):
    with torch.no_grad():
        return recorded_calls(model, image, memories)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("plain_class", [it for it in CPU_CLASSES if it.__name__ != "SAM2"], ids=lambda it: it.__name__)
@torch.no_grad()
def test_equals_the_plain_class(calls, plain_class, dtype):
    faster = 0
    for module, args, kwargs in calls[plain_class]:
        twin = twin_of(module, CPU_CLASSES, dtype)
        faster += type(twin) is not type(module)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            # The twin may not overwrite its inputs.
            before = [tensor.clone() for tensor in args if isinstance(tensor, torch.Tensor)]
            ours, plain = twin(*args, **kwargs), module(*args, **kwargs)
            assert all(map(torch.equal, before, [tensor for tensor in args if isinstance(tensor, torch.Tensor)]))
        for one, other in zip(tensors_of(ours), tensors_of(plain), strict=True):
            assert one.shape == other.shape and one.dtype in (other.dtype, torch.float32, dtype)
            limit = TOLERANCE[dtype] * max(1.0, float(other.abs().max()))
            assert (one.float() - other.float()).abs().max() < limit, type(twin).__name__
    if plain_class.__name__ in ("Block", "TwoWayTransformer", "MaskDecoder", "MemoryEncoder", "MemoryAttentionLayer"):
        assert faster == len(calls[plain_class]) or not has_cpu_kernels(torch.float32)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_stream_equals_the_plain_network(model, image, memories, dtype):
    results = []
    for enabled in (True, False):
        network = accelerated(model, dtype, enabled=enabled)
        features = network.encode_image(image)
        decoded, memory = network.track(features, memories)
        results.append([features.stride4, features.stride16, decoded.all_logits, decoded.iou, decoded.pointer, memory])
    for ours, plain in zip(*results, strict=True):
        limit = TOLERANCE[dtype] * max(1.0, float(plain.abs().max()))
        assert (ours.float() - plain.float()).abs().max() < limit
    same_code = torch.equal(results[0][1], results[1][1])
    assert same_code != choice_of(accelerated(model, dtype)).kernels.startswith("C++")


def test_concurrent_callers(model, memories):
    """The next image is encoded while objects are tracked in this one."""
    network = accelerated(model)

    def step(seed: int) -> list[torch.Tensor]:
        features = network.encode_image(torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(seed)))
        decoded, memory = network.track(features, memories)
        return [features.stride16, decoded.all_logits, memory]

    expected = [step(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(step, [0, 1, 2, 3] * 4))
    for one, other in zip(results, expected * 4, strict=True):
        assert all(map(torch.equal, one, other))


@pytest.mark.parametrize("amx", [True, False])
@torch.no_grad()
def test_equals_the_plain_network_without_kernels(monkeypatch, model, image, memories, amx):
    """Without a compiler there are no kernels."""
    for user in ("attention", "rotation", "hiera", "memory_attention", "memory_encoder", "mask_decoder"):
        monkeypatch.setattr(f"sam2_ros.acceleration.cpu.{user}.has_cpu_kernels", lambda dtype: False)
    monkeypatch.setattr("sam2_ros.acceleration.cpu.attention.AMX", amx)
    for dtype, limit in TOLERANCE.items():
        features = model.encode_image(image)
        twin = twin_of(model, CPU_CLASSES, dtype)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            ours, plain = twin.condition(features, memories), model.condition(features, memories)
        assert (ours - plain).abs().max() < limit * plain.abs().max()


def test_memory_without_pointers_and_with_one_object(model):
    layer = partial(twin_of, model.memory_attention.layers[0], CPU_CLASSES)
    rotation, x = axial_rotation(8, 8, model.config.dim, torch.device("cpu")), torch.randn(1, 64, model.config.dim)
    key = torch.randn(1, 64, model.config.memory_dim)
    with torch.no_grad():
        ours = layer(torch.float32)(x, MemoryTokens(key, key, 0), rotation)
        plain = model.memory_attention.layers[0](x, MemoryTokens(key, key, 0), rotation)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)
