"""The C++ token heads equal the mask decoder's MLPs, for every CPU capability up to that of this CPU."""

import pytest
import torch
from cpu_capabilities import KINDS, NEEDS_KERNELS, use_library
from mask_decoder_kernels import assert_close, decoder_of

from sam2_ros.acceleration.cpu.kernels.token_heads import token_heads
from sam2_ros.model.mask_decoder import MaskDecoder

pytestmark = NEEDS_KERNELS


def run(decoder: MaskDecoder, tokens: torch.Tensor) -> torch.Tensor:
    mlps = [decoder.pred_obj_score_head, decoder.iou_prediction_head, *decoder.output_hypernetworks_mlps]
    return token_heads(tokens, [weight for mlp in mlps for weight in mlp.parameters()])


@pytest.fixture(params=KINDS)
def kernels(request, monkeypatch):
    use_library(request.param, monkeypatch, "token_heads")


@pytest.mark.parametrize("n", [1, 3, 37])
@torch.no_grad()
def test_equal_the_layers(kernels, n):
    decoder, _ = decoder_of(1, 1, 1)
    tokens = torch.randn(n, 9, 64)
    result = run(decoder, tokens[:, :6])
    assert torch.equal(result, run(decoder, tokens[:, :6].contiguous()))
    assert torch.equal(result[:1], run(decoder, tokens[:1, :6]))
    presence, iou, filters = decoder.double().heads(tokens[:, :6].double())
    assert_close(result, torch.cat((presence[:, None], iou.logit(), filters.flatten(1)), dim=1))


@torch.no_grad()
def test_no_objects(kernels):
    decoder, _ = decoder_of(3, 5, 7)
    assert run(decoder, torch.zeros(0, 6, 64)).shape == (0, 1 + 4 + 4 * 8)


@torch.no_grad()
def test_nan_propagates(kernels):
    decoder, _ = decoder_of(2, 5, 7)
    tokens = torch.randn(3, 6, 64)
    tokens[1, 1, 5] = torch.nan
    result = run(decoder, tokens).isnan()
    assert result[1, 1:5].all() and result.sum() == 4
