"""A small network and its twin of faster classes for CUDA, on a CPU: with kernels in Triton's interpreter, or without.

The interpreter multiplies no bfloat16. Autocast to float32, which changes nothing, has kernels that are for half
precision compute without rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass, replace
from typing import Any

import torch
from small_network import TINY
from torch import Tensor, nn

from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.memory_attention import MemoryTokens
from sam2_ros.model.sam2 import SAM2, Memories

CONFIG = replace(
    TINY,
    hiera=replace(TINY.hiera, windows=(8, 4, 7, 8)),  # some windows reach beyond the edge
    dim=128,
    memory_layers=2,
    decoder_heads=4,
)
HEIGHT, WIDTH = 96, 96  # a grid of more cells than a decoder has tokens

BOUNDS = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
"""Norm of the difference over the norm of the plain network's result in float32."""


def network() -> SAM2:
    torch.manual_seed(0)
    model = SAM2(CONFIG).eval().requires_grad_(False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.sam_mask_decoder.iou_prediction_head.layers[-1].bias += 2 * torch.arange(4)  # rounding must not choose
    return model


@contextmanager
def precision(dtype: torch.dtype, enabled: bool = True) -> Iterator[None]:
    """Like torch.autocast, to float32 as well, and without gradients."""
    before = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
    torch.set_autocast_enabled("cpu", enabled)
    torch.set_autocast_dtype("cpu", dtype)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_autocast_enabled("cpu", before[0])
        torch.set_autocast_dtype("cpu", before[1])
        torch.clear_autocast_cache()


def whole_stream(model: SAM2, dtype: torch.dtype) -> dict[str, Tensor]:
    """Everything that the five functions and two steps of `track` compute for two objects, with and without holes among
    their memories."""
    torch.manual_seed(1)
    results = {}

    def record(name: str, values: Any) -> None:
        values = vars(values) if is_dataclass(values) else {"": values}
        results.update({f"{name} {key}".strip(): value for key, value in values.items()})

    features = model.encode_image(torch.randn(1, 3, HEIGHT, WIDTH))
    record("features", features)
    points, labels = torch.tensor([[[20.0, 30.0]], [[70.0, 60.0]]]), torch.tensor([[1], [0]])
    both = features[torch.zeros(2, dtype=torch.int64)]
    conditioned = model.condition(both, None)
    prompted = model.decode(conditioned, both, points, labels, 5 * torch.randn(2, 1, HEIGHT // 4, WIDTH // 4), False)
    record("prompted", prompted)
    record("given", model.decode_mask(both, (torch.rand(2, 1, HEIGHT, WIDTH) > 0.5).float()))
    presence = torch.tensor([1.0, -1.0])
    logits = 5 * torch.randn(2, HEIGHT // 4, WIDTH // 4)
    maps = []
    for each in (True, False, torch.tensor([True, False])):
        maps.append(model.encode_memory(features, logits, presence, each))
        record(f"memory, prompted {each}", maps[-1])
    memories = Memories(
        torch.stack(maps, dim=1),
        torch.tensor([[0, 1, 2], [0, 3, 1]]),
        torch.randn(2, 3, CONFIG.dim),
        torch.tensor([[0, 1, -2], [1, 2, 5]]),
    )
    holes = {"map_valid": torch.tensor([[True, False, True], [True, True, True]])}
    holes["pointer_valid"] = torch.tensor([[True, True, False], [False, True, True]])
    record("conditioned", model.condition(features, memories))
    for step, some in enumerate((memories, replace(memories, **holes))):
        decoded, memory = model.track(features, some)
        record(f"step {step}", decoded)
        record(f"step {step} memory", memory)
    assert results["features stride16"].dtype == results["conditioned"].dtype == torch.float32
    assert maps[0].dtype == dtype
    return results


def calls_of(model: SAM2) -> list[tuple[str, bool, tuple[Any, ...], Any]]:
    """Arguments of each module in `whole_stream` in float32, once with and once without a mask of memory tokens:
    name, whether autocast would be enabled there, arguments, result."""
    calls, hooks, known = [], [], set()

    def listen(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
            masked = any(isinstance(x, MemoryTokens) and x.valid is not None for x in arguments)
            if (name, masked) not in known:
                known.add((name, masked))
                calls.append((name, torch.is_autocast_enabled("cpu"), cloned(arguments), cloned(result)))

        return hook

    for name, module in model.named_modules():
        hooks.append(module.register_forward_hook(listen(name)))
    with precision(torch.float32):
        whole_stream(model, torch.float32)
    for hook in hooks:
        hook.remove()
    return calls


def compare_classes(dtype: torch.dtype) -> set[str]:
    """Compare each module of the twin with its plain one on the same inputs.

    Returns:
        Faster classes whose results differ by rounding at least, so that they can't be the same code.
    """
    model = network()
    twin = twin_of(model, CUDA_CLASSES, dtype)
    parts, plain_parts = dict(twin.named_modules()), dict(model.named_modules())
    different = set()
    for name, autocast, arguments, expected in calls_of(model):
        if type(plain_parts[name]) not in CUDA_CLASSES:
            continue
        part = parts[name]
        with precision(dtype, autocast):
            result = part(*cloned(arguments))
        for a, b in zip(tensors_of(result), tensors_of(expected), strict=True):
            assert a.shape == b.shape, name
            difference = float((a.float() - b).norm() / b.norm())
            assert difference <= BOUNDS[dtype], (name, type(part), dtype, difference)
            if not torch.equal(a, b):
                different.add(type(part).__name__)
    return different


def compare_streams(dtype: torch.dtype) -> None:
    """Compare all results of the twin with those of the plain network, in one precision."""
    model = network()
    with precision(torch.float32, enabled=False):
        expected = whole_stream(model, torch.float32)
    with precision(dtype, enabled=dtype != torch.float32):
        plain = whole_stream(model, dtype)
        output = whole_stream(twin_of(model, CUDA_CLASSES, dtype), dtype)
    assert output.keys() == expected.keys()
    for name, value in output.items():
        assert value.shape == expected[name].shape and value.dtype == plain[name].dtype, name
        difference = float((value.float() - expected[name]).norm() / expected[name].norm())
        assert difference <= BOUNDS[dtype], (name, dtype, difference)


def tensors_of(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return list(vars(result).values()) if is_dataclass(result) else list(result)


def cloned(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    return type(value)(map(cloned, value)) if isinstance(value, tuple | list) else value
