"""The encoder's block in C++ equals the layers, on this processor and on lesser ones."""

import pytest
import torch
from cpu_processors import KINDS, NEEDS_KERNELS, take, with_random_weights

from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.cpu.hiera import CPUBlock
from sam2_ros.acceleration.cpu.kernels.hiera_block import hiera_block
from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.hiera import Block

pytestmark = NEEDS_KERNELS

CASES = {
    "windows": ((1, 16, 24), 32, 32, 1, 8, False),
    "windows that reach beyond the image": ((2, 11, 13), 24, 24, 3, 7, False),
    "one window, larger than the image": ((1, 5, 3), 16, 16, 2, 8, False),
    "the whole image": ((1, 18, 24), 64, 64, 4, 0, False),
    "several images": ((3, 5, 9), 16, 16, 1, 0, False),
    "more keys than are in memory at a time": ((1, 20, 31), 16, 16, 1, 0, False),
    "pooled windows": ((1, 16, 24), 32, 64, 2, 8, True),
    "pooled windows that reach beyond the image": ((2, 10, 18), 24, 48, 2, 14, True),
    "a pooled image": ((1, 18, 24), 32, 64, 4, 0, True),
    "a pooled image, with places between its cells": ((2, 10, 6), 16, 32, 1, 0, True),
    "odd widths": ((1, 6, 6), 9, 27, 3, 4, True),
}


def block_of(case: str) -> tuple[Block, torch.Tensor]:
    """A block with weights of all magnitudes, and an input."""
    torch.manual_seed(0)
    (b, h, w), dim, dim_out, heads, window, pool = CASES[case]
    block = with_random_weights(Block(dim, dim_out, heads, window, pool, drop=0.1))
    return block, 2 * torch.randn(b, h, w, dim)


def weights(block: Block) -> list[torch.Tensor]:
    """In the order of the kernel."""
    twin = twin_of(block, {Block: CPUBlock}, torch.float32)
    CPUBlock.prepare(twin, torch.float32)  # also of blocks that are computed by PyTorch's operations
    return twin.weights


@pytest.fixture(params=KINDS)
def kernels(request, monkeypatch):
    take(request.param, monkeypatch, "hiera_block")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_equals_the_layers(monkeypatch, kernels, case, threads):
    block, x = block_of(case)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    found = hiera_block(x, weights(block), block.attn.heads, block.window, block.norm1.eps)
    expected = block.double()(x.double())
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-6 * expected.abs().max()


@torch.no_grad()
def test_independent_of_threads_and_other_images(monkeypatch):
    """A bag gives the same masklets wherever it is played."""
    for case in ("pooled windows that reach beyond the image", "several images"):
        block, x = block_of(case)
        given = weights(block), block.attn.heads, block.window, block.norm1.eps
        found = []
        for threads in (1, 2, 7):
            monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
            found.append(hiera_block(x, *given))
        assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
        assert torch.equal(found[0], torch.cat([hiera_block(image[None], *given) for image in x]))


@torch.no_grad()
def test_no_images(kernels):
    block, x = block_of("pooled windows")
    found = hiera_block(x[:0], weights(block), block.attn.heads, block.window, block.norm1.eps)
    assert found.shape == (0, 8, 12, 64)


@torch.no_grad()
def test_nan_propagates(kernels):
    block, x = block_of("windows")
    x[0, 3, 5, 7] = torch.nan
    found = hiera_block(x, weights(block), block.attn.heads, block.window, block.norm1.eps)
    assert found[0, :8, :8].isnan().all() and not found[0, 8:].isnan().any()


@torch.no_grad()
def test_odd_sizes_are_pooled_by_the_layers():
    for shape, window in (((3, 5, 4), 0), ((2, 13, 8), 8), ((1, 14, 14), 7)):
        block = Block(16, 32, 1, window, True, drop=0.0).eval()
        with pytest.raises(AssertionError, match="cannot be pooled"):
            hiera_block(torch.randn(*shape, 16), weights(block), 1, window, 1e-6)
    block = twin_of(Block(16, 32, 1, 0, True, drop=0.0), CPU_CLASSES, torch.float32)
    assert isinstance(block, CPUBlock)
    with torch.no_grad():
        shape = block(torch.randn(3, 5, 4, 16)).shape
    assert shape == (3, 2, 2, 32)  # by PyTorch's operations


@torch.no_grad()
def test_weights_in_another_precision_are_refused():
    block, x = block_of("windows")
    with pytest.raises(TypeError, match="another precision"):
        twin_of(block.double(), CPU_CLASSES, torch.float32)(x)


def test_twins_take_it(monkeypatch):
    block, x = block_of("windows")
    plain = block(x).detach()
    twin = twin_of(block, CPU_CLASSES, torch.float32)
    with torch.no_grad():
        result = twin(x)
        assert torch.equal(result, hiera_block(x, weights(block), 1, 8, block.norm1.eps))
        assert not torch.equal(result, plain)  # equal: they would be the same code
        torch.testing.assert_close(result, plain, rtol=1e-5, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(result, twin_of(block, CPU_CLASSES, torch.bfloat16)(x))
            if has_cpu_kernels(torch.bfloat16):  # by tiles, large maps are faster
                monkeypatch.setattr("sam2_ros.acceleration.cpu.hiera.MAX_FLOAT32_VALUES", 0)
                assert not torch.equal(result, twin_of(block, CPU_CLASSES, torch.bfloat16)(x))
