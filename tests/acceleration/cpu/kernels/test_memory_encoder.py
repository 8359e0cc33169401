"""The memory encoder in C++ equals the layers, on this processor and on lesser ones."""

from copy import copy
from dataclasses import replace

import pytest
import torch
from cpu_processors import KINDS, NEEDS_KERNELS, take, with_random_weights
from torch import Tensor, nn

from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.cpu.kernels.memory_encoder import encode_memory
from sam2_ros.acceleration.cpu.memory_encoder import MAX_CHANNELS, CPUMemoryEncoder
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.memory_encoder import MemoryEncoder

pytestmark = NEEDS_KERNELS

F32 = torch.float32

CASES = {  # objects, images, height, width, channels, of a memory
    "the default model": (1, 1, 18, 24, 128, 64),
    "objects on one image": (3, 1, 5, 7, 32, 16),
    "objects on images of their own": (3, 3, 7, 45, 16, 16),
    "odd widths": (2, 2, 9, 4, 9, 5),
    "a token": (2, 1, 1, 1, 40, 9),
    "a row": (1, 1, 1, 33, 16, 3),
    "a column": (1, 1, 35, 1, 16, 8),
}


def encoder_of(case: str) -> tuple[MemoryEncoder, Tensor, Tensor, Tensor]:
    """An encoder with weights of all magnitudes, and its inputs."""
    torch.manual_seed(0)
    n, b, h, w, dim, memory_dim = CASES[case]
    encoder = with_random_weights(MemoryEncoder(replace(CONFIGS["default"], dim=dim, memory_dim=memory_dim)))
    for block in encoder.fuser.layers:
        nn.init.normal_(block.gamma)
    logits = 5 * torch.randn(n, 4 * h, 4 * w)
    logits[0, :2] = -1024  # an object that is absent
    return encoder, torch.randn(b, h, w, dim).movedim(-1, 1), logits, torch.arange(n) % 2 == 1


def by_the_kernel(encoder: MemoryEncoder, features: Tensor, logits: Tensor, prompted: Tensor) -> Tensor:
    CPUMemoryEncoder.prepare(twin := copy(encoder), torch.float32)
    given = features.movedim(1, -1), logits, prompted, twin.weights, twin.scales, 1e-6
    return encode_memory(*given).movedim(-1, 1)


@pytest.fixture(params=KINDS)
def kernels(request, monkeypatch):
    take(request.param, monkeypatch, "memory_encoder")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_equals_the_layers(monkeypatch, kernels, case, threads):
    encoder, features, logits, prompted = encoder_of(case)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    found = by_the_kernel(encoder, features, logits, prompted)
    expected = encoder.double()(features.double(), logits.double(), prompted)  # in which there are no kernels
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-6 * expected.abs().max()


@torch.no_grad()
def test_independent_of_threads_and_other_objects(monkeypatch):
    """A bag gives the same masklets wherever it is played."""
    for case in ("objects on one image", "objects on images of their own"):
        encoder, features, logits, prompted = encoder_of(case)
        found = []
        for threads in (1, 2, 7):
            monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
            found.append(by_the_kernel(encoder, features, logits, prompted))
        assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
        images = features.expand(len(logits), -1, -1, -1).split(1)
        alone = map(by_the_kernel, [encoder] * 3, images, logits.split(1), prompted.split(1))
        assert torch.equal(found[0], torch.cat(list(alone)))


@torch.no_grad()
def test_large_images_leave_nothing_behind(kernels):
    """Zeros beyond the edges, and channels that fill up vectors, lie where others lay before."""
    encoder, features, logits, prompted = encoder_of("odd widths")
    found = by_the_kernel(encoder, features, logits, prompted)
    larger, *given = encoder_of("objects on images of their own")
    given[1][:] = torch.nan
    by_the_kernel(larger, *given)
    assert torch.equal(by_the_kernel(encoder, features, logits, prompted), found)


@torch.no_grad()
def test_no_objects(kernels):
    encoder, features, logits, prompted = encoder_of("objects on one image")
    assert by_the_kernel(encoder, features, logits[:0], prompted[:0]).shape == (0, 16, 5, 7)


@torch.no_grad()
def test_nan_propagates(kernels):
    encoder, features, logits, prompted = encoder_of("objects on images of their own")
    features[0, 3, 2, 20] = logits[2, 12, 90] = torch.nan
    found = by_the_kernel(encoder, features, logits, prompted)
    nowhere = found.isnan().any(1)
    assert nowhere[0, 2, 20] and nowhere[2, 3, 22] and not nowhere[1].any() and not nowhere[:, :, 40:].any()


@torch.no_grad()
def test_twins_take_it():
    encoder, features, logits, prompted = encoder_of("objects on one image")
    twin = twin_of(encoder, CPU_CLASSES, torch.float32)
    result = twin(features, logits, prompted)
    assert torch.equal(result, by_the_kernel(encoder, features, logits, prompted))
    assert torch.equal(twin(features, logits, True), by_the_kernel(encoder, features, logits, prompted | True))
    with torch.autocast("cpu", torch.bfloat16):
        half = twin_of(encoder, CPU_CLASSES, torch.bfloat16)(features.bfloat16(), logits.bfloat16(), prompted)
    assert half.dtype == torch.bfloat16 and half.stride() == result.stride()
    torch.testing.assert_close(half.float(), result, rtol=0.02, atol=0.02 * result.abs().max().item())
    plain = encoder(features, logits, prompted)
    assert not torch.equal(result, plain)  # equal: they would be the same code
    torch.testing.assert_close(result, plain, rtol=1e-5, atol=1e-5 * plain.abs().max().item())


@torch.no_grad()
def test_inputs_that_it_does_not_take(monkeypatch):
    def fail(*_):
        raise AssertionError("it was taken")

    monkeypatch.setattr("sam2_ros.acceleration.cpu.memory_encoder.encode_memory", fail)
    encoder, features, logits, prompted = encoder_of("objects on images of their own")
    twin = twin_of(encoder, CPU_CLASSES, torch.float32)
    with pytest.raises(AssertionError):
        twin(features, logits, prompted)
    cut = twin(features, logits[:, :-1, :-2], prompted)  # convolved to as many tokens
    assert cut.shape == (3, 16, 7, 45)
    assert twin(features, logits[:1], prompted[:1]).shape == (3, 16, 7, 45)


@pytest.mark.parametrize("tiles", [True, False])
def test_wide_encoders_take_it_unless_tiles_are_faster(monkeypatch, tiles):
    monkeypatch.setattr("sam2_ros.acceleration.cpu.memory_encoder.has_cpu_kernels", lambda dtype: tiles or dtype == F32)
    wide = MemoryEncoder(replace(CONFIGS["default"], dim=2 * MAX_CHANNELS))
    assert CPUMemoryEncoder.fits(wide, F32)
    assert CPUMemoryEncoder.fits(wide, torch.bfloat16) != tiles
