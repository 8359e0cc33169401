"""The C++ two-way transformer equals the module, for every CPU capability up to that of this CPU."""

import pytest
import torch
from cpu_capabilities import KINDS, NEEDS_KERNELS, use_library, with_random_weights
from mask_decoder_kernels import assert_close

from sam2_ros.acceleration.cpu.kernels.two_way_transformer import two_way_transformer
from sam2_ros.model.mask_decoder import TwoWayTransformer

pytestmark = NEEDS_KERNELS

CASES = {
    "the default model's": (1, 8, (18, 24), 128, 4, 512),
    "several objects": (3, 7, (5, 9), 64, 2, 128),
    "more objects than threads": (7, 8, (3, 4), 32, 2, 64),
    "maximum of tokens": (2, 16, (5, 7), 128, 8, 64),
    "one token, and an image that is one group": (1, 1, (4, 8), 16, 1, 8),
    "chunks of several groups": (1, 8, (31, 29), 32, 2, 16),
    "odd widths": (2, 3, (5, 1), 18, 3, 7),
}


def transformer_of(case: str) -> tuple[TwoWayTransformer, list[torch.Tensor]]:
    """A transformer; tokens, image and position."""
    torch.manual_seed(0)
    n, tokens, (h, w), dim, heads, hidden = CASES[case]
    transformer = with_random_weights(TwoWayTransformer(dim, heads, hidden))
    return transformer, [2 * torch.randn(n, tokens, dim), 2 * torch.randn(n, h * w, dim), torch.randn(h * w, dim)]


def run(transformer: TwoWayTransformer, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    heads, eps = transformer.final_attn_token_to_image.heads, transformer.norm_final_attn.eps
    return two_way_transformer(*inputs, list(transformer.parameters()), heads, eps)


@pytest.fixture(params=KINDS)
def kernels(request, monkeypatch):
    use_library(request.param, monkeypatch, "two_way_transformer")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_equals_the_module(kernels, monkeypatch, case, threads):
    transformer, inputs = transformer_of(case)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    result = run(transformer, inputs)
    for x, expected in zip(result, transformer.double()(*(x.double() for x in inputs)), strict=True):
        assert_close(x, expected)


@torch.no_grad()
def test_independent_of_threads_and_other_objects(kernels, monkeypatch):
    """A bag gives the same masklets on every machine."""
    transformer, inputs = transformer_of("more objects than threads")
    tokens, image, position = inputs
    results = []
    for threads in (1, 2, 7):
        monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
        results.append(run(transformer, inputs))
    alone = [run(transformer, [tokens[i, None], image[i, None], position]) for i in range(len(tokens))]
    results.append(tuple(map(torch.cat, zip(*alone, strict=True))))
    for others in results[1:]:
        assert all(map(torch.equal, results[0], others))


@torch.no_grad()
def test_no_objects(kernels):
    transformer, (tokens, image, position) = transformer_of("several objects")
    result = run(transformer, [tokens[:0], image[:0], position])
    assert [x.shape for x in result] == [(0, 7, 64), (0, 45, 64)]


@torch.no_grad()
def test_nan_propagates(kernels):
    transformer, (tokens, image, position) = transformer_of("several objects")
    for x in (tokens, image):
        broken = x.clone()
        broken[1, 2, 3] = torch.nan
        result = run(transformer, [broken if x is y else y for y in (tokens, image, position)])
        assert all(y[1].isnan().all() and not y[::2].isnan().any() for y in result)
