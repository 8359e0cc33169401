"""The memory encoder for CPUs computes what the layers say, on this processor and on lesser ones."""

from dataclasses import replace

import pytest
import torch
from cpu_processors import KINDS, NEEDS_KERNELS, take, with_weights_of_all_sizes
from torch import Tensor, nn

from sam2_ros.acceleration.cpu.kernels.memory_encoder import encode_memory
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.memory_encoder import NARROW, MemoryEncoder

pytestmark = NEEDS_KERNELS

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
    """One with weights of all sizes, and what it is given."""
    torch.manual_seed(0)
    n, b, h, w, dim, memory_dim = CASES[case]
    encoder = with_weights_of_all_sizes(MemoryEncoder(replace(CONFIGS["default"], dim=dim, memory_dim=memory_dim)))
    for scale in encoder.scales():
        nn.init.normal_(scale)
    logits = 5 * torch.randn(n, 4 * h, 4 * w)
    logits[0, :2] = -1024  # an object that is absent
    return encoder, torch.randn(b, h, w, dim).movedim(-1, 1), logits, torch.arange(n) % 2 == 1


def by_the_kernel(encoder: MemoryEncoder, features: Tensor, logits: Tensor, prompted: Tensor) -> Tensor:
    given = features.movedim(1, -1), logits, prompted, encoder.weights(), encoder.scales(), 1e-6
    return encode_memory(*given).movedim(-1, 1)


@pytest.fixture(params=KINDS)
def kernels(request, monkeypatch):
    take(request.param, monkeypatch, "memory_encoder")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_it_is_what_the_layers_compute(monkeypatch, kernels, case, threads):
    encoder, features, logits, prompted = encoder_of(case)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    found = by_the_kernel(encoder, features, logits, prompted)
    expected = encoder.double()(features.double(), logits.double(), prompted)  # in which there are no kernels
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-6 * expected.abs().max()


@torch.no_grad()
def test_threads_and_other_objects_change_nothing(monkeypatch):
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
def test_what_is_no_number_shows(kernels):
    encoder, features, logits, prompted = encoder_of("objects on images of their own")
    features[0, 3, 2, 20] = logits[2, 12, 90] = torch.nan
    found = by_the_kernel(encoder, features, logits, prompted)
    nowhere = found.isnan().any(1)
    assert nowhere[0, 2, 20] and nowhere[2, 3, 22] and not nowhere[1].any() and not nowhere[:, :, 40:].any()


@torch.no_grad()
def test_the_encoder_takes_it(monkeypatch):
    encoder, features, logits, prompted = encoder_of("objects on one image")
    found = encoder(features, logits, prompted)
    assert torch.equal(found, by_the_kernel(encoder, features, logits, prompted))
    assert torch.equal(encoder(features, logits, True), by_the_kernel(encoder, features, logits, prompted | True))
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(features.bfloat16(), logits.bfloat16(), prompted)
    assert half.dtype == torch.bfloat16 and half.stride() == found.stride()
    torch.testing.assert_close(half.float(), found, rtol=0.02, atol=0.02 * found.abs().max().item())
    with torch.enable_grad():
        assert encoder(features, logits, prompted).requires_grad
    monkeypatch.setattr("sam2_ros.model.layers.has_cpu_kernels", lambda dtype: False)
    plain = encoder(features, logits, prompted)
    assert plain.stride() == found.stride() and not torch.equal(found, plain)  # equal: they would be the same code
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5 * plain.abs().max().item())


@torch.no_grad()
def test_what_it_does_not_take(monkeypatch):
    def fail(*_):
        raise AssertionError("it was taken")

    monkeypatch.setattr("sam2_ros.model.memory_encoder.encode_memory", fail)
    encoder, features, logits, prompted = encoder_of("objects on images of their own")
    with pytest.raises(AssertionError):
        encoder(features, logits, prompted)
    cut = encoder(features, logits[:, :-1, :-2], prompted)  # is enlarged to what has as many tokens
    assert cut.shape == (3, 16, 7, 45)
    assert encoder(features, logits[:1], prompted[:1]).shape == (3, 16, 7, 45)
    config = replace(CONFIGS["default"], dim=2 * NARROW)
    wide, given = MemoryEncoder(config).eval(), (torch.randn(1, 2 * NARROW, 2, 2), torch.randn(1, 8, 8), False)
    with pytest.raises(AssertionError):
        wide(*given)
    with torch.autocast("cpu", torch.bfloat16):
        monkeypatch.setattr("sam2_ros.model.memory_encoder.has_cpu_kernels", lambda dtype: True)
        assert wide(*given).dtype == torch.bfloat16
        monkeypatch.setattr("sam2_ros.model.memory_encoder.has_cpu_kernels", lambda dtype: False)  # without tiles
        with pytest.raises(AssertionError):
            wide(*given)
