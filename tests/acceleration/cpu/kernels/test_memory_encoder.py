"""The memory encoder in C++ equals the layers, for every CPU capability up to that of this CPU."""

from copy import copy
from dataclasses import replace

import pytest
import torch
from cpu_capabilities import KINDS, NEEDS_KERNELS, use_library, with_random_weights
from torch import Tensor, nn

from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.cpu.kernels.memory_encoder import encode_memory
from sam2_ros.acceleration.cpu.memory_encoder import MAX_CHANNELS, CPUMemoryEncoder
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.memory_encoder import MemoryEncoder

pytestmark = NEEDS_KERNELS

F32 = torch.float32

CASES = {  # objects, images, height, width, dim, memory_dim
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
    logits[0, :2] = -1024  # an absent object
    return encoder, torch.randn(b, h, w, dim).movedim(-1, 1), logits, torch.arange(n) % 2 == 1


def run(encoder: MemoryEncoder, features: Tensor, logits: Tensor, prompted: Tensor) -> Tensor:
    CPUMemoryEncoder.prepare(twin := copy(encoder), torch.float32)
    given = features.movedim(1, -1), logits, prompted, twin.weights, twin.scales, 1e-6
    return encode_memory(*given).movedim(-1, 1)


@pytest.fixture(params=KINDS)
def kernels(request, monkeypatch):
    use_library(request.param, monkeypatch, "memory_encoder")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_equals_the_layers(monkeypatch, kernels, case, threads):
    encoder, features, logits, prompted = encoder_of(case)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    result = run(encoder, features, logits, prompted)
    expected = encoder.double()(features.double(), logits.double(), prompted)  # float64 has no kernels
    assert result.shape == expected.shape
    assert (result - expected).abs().max() < 2e-6 * expected.abs().max()


@torch.no_grad()
def test_independent_of_threads_and_other_objects(monkeypatch):
    """A bag gives the same masklets on every machine."""
    for case in ("objects on one image", "objects on images of their own"):
        encoder, features, logits, prompted = encoder_of(case)
        results = []
        for threads in (1, 2, 7):
            monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
            results.append(run(encoder, features, logits, prompted))
        assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])
        images = features.expand(len(logits), -1, -1, -1).split(1)
        alone = map(run, [encoder] * 3, images, logits.split(1), prompted.split(1))
        assert torch.equal(results[0], torch.cat(list(alone)))


@torch.no_grad()
def test_scratch_of_larger_images_does_not_leak(kernels):
    """Zero padding at the edges and of channels lies where another call left values."""
    encoder, features, logits, prompted = encoder_of("odd widths")
    result = run(encoder, features, logits, prompted)
    larger, *given = encoder_of("objects on images of their own")
    given[1][:] = torch.nan
    run(larger, *given)
    assert torch.equal(run(encoder, features, logits, prompted), result)


@torch.no_grad()
def test_no_objects(kernels):
    encoder, features, logits, prompted = encoder_of("objects on one image")
    assert run(encoder, features, logits[:0], prompted[:0]).shape == (0, 16, 5, 7)


@torch.no_grad()
def test_nan_propagates(kernels):
    encoder, features, logits, prompted = encoder_of("objects on images of their own")
    features[0, 3, 2, 20] = logits[2, 12, 90] = torch.nan
    result = run(encoder, features, logits, prompted)
    is_nan = result.isnan().any(1)
    assert is_nan[0, 2, 20] and is_nan[2, 3, 22] and not is_nan[1].any() and not is_nan[:, :, 40:].any()


@torch.no_grad()
def test_twin_uses_the_kernel():
    encoder, features, logits, prompted = encoder_of("objects on one image")
    twin = twin_of(encoder, CPU_CLASSES, torch.float32)
    result = twin(features, logits, prompted)
    assert torch.equal(result, run(encoder, features, logits, prompted))
    assert torch.equal(twin(features, logits, True), run(encoder, features, logits, prompted | True))
    with torch.autocast("cpu", torch.bfloat16):
        half = twin_of(encoder, CPU_CLASSES, torch.bfloat16)(features.bfloat16(), logits.bfloat16(), prompted)
    assert half.dtype == torch.bfloat16 and half.stride() == result.stride()
    torch.testing.assert_close(half.float(), result, rtol=0.02, atol=0.02 * result.abs().max().item())
    plain = encoder(features, logits, prompted)
    assert not torch.equal(result, plain)  # equal: they would be the same code
    torch.testing.assert_close(result, plain, rtol=1e-5, atol=1e-5 * plain.abs().max().item())


@torch.no_grad()
def test_unsupported_inputs_fall_back_to_pytorch(monkeypatch):
    def fail(*_):
        raise AssertionError("the kernel was used")

    monkeypatch.setattr("sam2_ros.acceleration.cpu.memory_encoder.encode_memory", fail)
    encoder, features, logits, prompted = encoder_of("objects on images of their own")
    twin = twin_of(encoder, CPU_CLASSES, torch.float32)
    with pytest.raises(AssertionError):
        twin(features, logits, prompted)
    cut = twin(features, logits[:, :-1, :-2], prompted)  # downsampled to as many tokens
    assert cut.shape == (3, 16, 7, 45)
    assert twin(features, logits[:1], prompted[:1]).shape == (3, 16, 7, 45)


@pytest.mark.parametrize("tiles", [True, False])
def test_wide_encoders_use_the_kernel_unless_amx_is_faster(monkeypatch, tiles):
    monkeypatch.setattr("sam2_ros.acceleration.cpu.memory_encoder.has_cpu_kernels", lambda dtype: tiles or dtype == F32)
    wide = MemoryEncoder(replace(CONFIGS["default"], dim=2 * MAX_CHANNELS))
    assert CPUMemoryEncoder.fits(wide, F32)
    assert CPUMemoryEncoder.fits(wide, torch.bfloat16) != tiles
