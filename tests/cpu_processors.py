"""Helpers for tests of the CPU kernels: the processors for which they are built, and random weights."""

import shutil

import pytest
from torch import nn

from sam2_ros.acceleration.cpu.kernels.library import AMX, capability_of_this_processor, load

HERE = capability_of_this_processor()
KINDS = ["NEON"] if HERE == "NEON" else ["AVX2", "AVX512"]
TILES = AMX and HERE == "AVX512"
NEEDS_KERNELS = [
    pytest.mark.skipif(HERE not in KINDS, reason=f"this processor has neither AVX2 nor NEON but {HERE}"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++"),
]


def take(kind: str, monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Make modules of `cpu.kernels` use the kernels for one kind of processor."""
    if kind == "AVX512" and HERE != "AVX512":
        pytest.skip("this processor has none")
    library = load(kind, tiles=False)
    for module in modules:
        monkeypatch.setattr(f"sam2_ros.acceleration.cpu.kernels.{module}.kernels", lambda: library)


def with_random_weights(module: nn.Module) -> nn.Module:
    for layer in module.modules():
        if hasattr(layer, "bias"):
            nn.init.normal_(layer.bias)
            inputs = layer.weight[:, 0].numel() if isinstance(layer, nn.ConvTranspose2d) else layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=1.0 if layer.weight.dim() == 1 else 1.5 * inputs**-0.5)
    return module.eval()
