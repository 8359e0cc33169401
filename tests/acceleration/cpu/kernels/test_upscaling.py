"""The C++ upscaling equals the mask decoder's layers, for every CPU capability up to that of this CPU."""

import pytest
import torch
from cpu_capabilities import KINDS, NEEDS_KERNELS, use_library
from mask_decoder_kernels import assert_close, decoder_of

from sam2_ros.acceleration.cpu.kernels.transformer import weights
from sam2_ros.acceleration.cpu.kernels.upscaling import upscaled_masks
from sam2_ros.model.mask_decoder import MaskDecoder

pytestmark = NEEDS_KERNELS


def run(decoder: MaskDecoder, inputs: list[torch.Tensor]) -> torch.Tensor:
    image, filters, stride4, stride8 = inputs
    layers = [decoder.output_upscaling[i] for i in (0, 1, 3)]
    return upscaled_masks(image, stride8, stride4, filters, weights(*layers), layers[1].eps)


@pytest.fixture(params=KINDS)
def kernels(request, monkeypatch):
    use_library(request.param, monkeypatch, "upscaling")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [(1, 18, 24, 128), (3, 5, 7, 64), (2, 3, 1, 40)])
@torch.no_grad()
def test_equals_the_layers(kernels, monkeypatch, size, threads):
    decoder, inputs = decoder_of(*size)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    result = run(decoder, inputs)
    channels_first = [x.contiguous() for x in inputs]  # and skip connections of each object
    assert torch.equal(result, run(decoder, channels_first))
    assert_close(result, decoder.double().masks(*(x.double() for x in inputs)))


@torch.no_grad()
def test_independent_of_threads_and_other_objects(kernels, monkeypatch):
    """A bag gives the same masklets on every machine."""
    decoder, inputs = decoder_of(3, 5, 7)
    results = []
    for threads in (1, 2, 7):
        monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
        results.append(run(decoder, inputs))
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])
    assert torch.equal(results[0][1:2], run(decoder, [x[1:2] for x in inputs]))


@torch.no_grad()
def test_no_objects(kernels):
    decoder, inputs = decoder_of(3, 5, 7)
    assert run(decoder, [x[:0] for x in inputs]).shape == (0, 4, 20, 28)


@torch.no_grad()
def test_nan_propagates(kernels):
    decoder, inputs = decoder_of(2, 5, 7)
    broken = [x.contiguous() for x in inputs]
    broken[0][1, 5, 2, 3] = torch.nan
    result = run(decoder, broken).isnan()
    assert result[1, :, 8:12, 12:16].all() and result.sum() == 4 * 16
    for i, factor in ((2, 1), (3, 2)):
        broken = [x.contiguous() for x in inputs]
        broken[i][1, 5, 2, 3] = torch.nan
        assert run(decoder, broken).isnan().sum() == 4 * factor**2
