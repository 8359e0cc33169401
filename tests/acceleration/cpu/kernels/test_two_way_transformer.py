"""The mask decoder in C++ equals the layers, on this processor and on lesser ones."""

from dataclasses import replace

import pytest
import torch
from cpu_processors import KINDS, NEEDS_KERNELS, take, with_random_weights

from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.cpu.kernels.token_heads import token_heads
from sam2_ros.acceleration.cpu.kernels.transformer import weights
from sam2_ros.acceleration.cpu.kernels.two_way_transformer import two_way_transformer
from sam2_ros.acceleration.cpu.kernels.upscaling import upscaled_masks
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.mask_decoder import MaskDecoder, TwoWayTransformer

pytestmark = NEEDS_KERNELS

CASES = {
    "the default model's": (1, 8, (18, 24), 128, 4, 512),
    "several objects": (3, 7, (5, 9), 64, 2, 128),
    "one for each thread and more": (7, 8, (3, 4), 32, 2, 64),
    "as many tokens as it takes": (2, 16, (5, 7), 128, 8, 64),
    "few tokens, of an image that is a group": (1, 1, (4, 8), 16, 1, 8),
    "chunks of several groups": (1, 8, (31, 29), 32, 2, 16),
    "odd widths": (2, 3, (5, 1), 18, 3, 7),
}


def transformer_of(case: str) -> tuple[TwoWayTransformer, list[torch.Tensor]]:
    """A transformer, and tokens, image and position."""
    torch.manual_seed(0)
    n, tokens, (h, w), dim, heads, hidden = CASES[case]
    transformer = with_random_weights(TwoWayTransformer(dim, heads, hidden))
    return transformer, [2 * torch.randn(n, tokens, dim), 2 * torch.randn(n, h * w, dim), torch.randn(h * w, dim)]


def run(transformer: TwoWayTransformer, given: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    heads, eps = transformer.final_attn_token_to_image.heads, transformer.norm_final_attn.eps
    return two_way_transformer(*given, list(transformer.parameters()), heads, eps)


def decoder_of(n: int, h: int, w: int, dim: int = 64) -> tuple[MaskDecoder, list[torch.Tensor]]:
    """A decoder, and image, filters, and maps of strides 4 and 8, which all objects share."""
    torch.manual_seed(0)
    config = replace(CONFIGS["default"], dim=dim, feedforward=32, iou_head_dim=24)
    decoder = with_random_weights(MaskDecoder(config))
    maps = [torch.randn(1, s * h, s * w, dim // c).movedim(-1, 1).expand(n, -1, -1, -1) for s, c in ((4, 8), (2, 4))]
    return decoder, [torch.randn(n, h * w, dim).mT.unflatten(2, (h, w)), torch.randn(n, 4, dim // 8), *maps]


def masks(decoder: MaskDecoder, given: list[torch.Tensor]) -> torch.Tensor:
    image, filters, stride4, stride8 = given
    layers = [decoder.output_upscaling[i] for i in (0, 1, 3)]
    return upscaled_masks(image, stride8, stride4, filters, weights(*layers), layers[1].eps)


def heads(decoder: MaskDecoder, tokens: torch.Tensor) -> torch.Tensor:
    mlps = [decoder.pred_obj_score_head, decoder.iou_prediction_head, *decoder.output_hypernetworks_mlps]
    return token_heads(tokens, [weight for mlp in mlps for weight in mlp.parameters()])


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-6 * expected.abs().max()


@pytest.fixture(params=KINDS)
def kernels(request, monkeypatch):
    take(request.param, monkeypatch, "two_way_transformer", "upscaling", "token_heads")


@pytest.fixture
def threads(monkeypatch):
    return lambda count: monkeypatch.setattr("torch.get_num_threads", lambda: count)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_transformer_equals_the_layers(kernels, threads, case, count):
    transformer, given = transformer_of(case)
    threads(count)
    found = run(transformer, given)
    for x, expected in zip(found, transformer.double()(*(x.double() for x in given)), strict=True):
        assert_close(x, expected)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("size", [(1, 18, 24, 128), (3, 5, 7, 64), (2, 3, 1, 40)])
@torch.no_grad()
def test_masks_equal_the_layers(kernels, threads, size, count):
    decoder, given = decoder_of(*size)
    threads(count)
    found = masks(decoder, given)
    own = [x.contiguous() for x in given]  # channels first, and for each object
    assert torch.equal(found, masks(decoder, own))
    assert_close(found, decoder.double().masks(*(x.double() for x in given)))


@pytest.mark.parametrize("n", [1, 3, 37])
@torch.no_grad()
def test_heads_equal_the_layers(kernels, n):
    decoder, _ = decoder_of(1, 1, 1)
    tokens = torch.randn(n, 9, 64)
    found = heads(decoder, tokens[:, :6])
    assert torch.equal(found, heads(decoder, tokens[:, :6].contiguous()))
    assert torch.equal(found[:1], heads(decoder, tokens[:1, :6]))
    presence, iou, filters = decoder.double().heads(tokens[:, :6].double())
    assert_close(found, torch.cat((presence[:, None], iou.logit(), filters.flatten(1)), dim=1))


@torch.no_grad()
def test_independent_of_threads_and_other_objects(kernels, threads):
    """A bag gives the same masklets wherever it is played."""
    transformer, given = transformer_of("one for each thread and more")
    tokens, image, position = given
    decoder, of_masks = decoder_of(3, 5, 7)
    found = []
    for count in (1, 2, 7):
        threads(count)
        found.append((*run(transformer, given), masks(decoder, of_masks)))
    alone = [run(transformer, [tokens[i, None], image[i, None], position]) for i in range(len(tokens))]
    found.append((*map(torch.cat, zip(*alone, strict=True)), found[0][2]))
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))
    assert torch.equal(found[0][2][1:2], masks(decoder, [x[1:2] for x in of_masks]))


@torch.no_grad()
def test_no_objects(kernels):
    transformer, (tokens, image, position) = transformer_of("several objects")
    found = run(transformer, [tokens[:0], image[:0], position])
    assert [x.shape for x in found] == [(0, 7, 64), (0, 45, 64)]
    decoder, given = decoder_of(3, 5, 7)
    assert masks(decoder, [x[:0] for x in given]).shape == (0, 4, 20, 28)
    assert heads(decoder, torch.zeros(0, 6, 64)).shape == (0, 1 + 4 + 4 * 8)


@torch.no_grad()
def test_nan_propagates(kernels):
    transformer, (tokens, image, position) = transformer_of("several objects")
    for x in (tokens, image):
        broken = x.clone()
        broken[1, 2, 3] = torch.nan
        found = run(transformer, [broken if x is y else y for y in (tokens, image, position)])
        assert all(y[1].isnan().all() and not y[::2].isnan().any() for y in found)

    decoder, given = decoder_of(2, 5, 7)
    broken = [x.contiguous() for x in given]
    broken[0][1, 5, 2, 3] = torch.nan
    found = masks(decoder, broken).isnan()
    assert found[1, :, 8:12, 12:16].all() and found.sum() == 4 * 16
    for i, times in ((2, 1), (3, 2)):
        broken = [x.contiguous() for x in given]
        broken[i][1, 5, 2, 3] = torch.nan
        assert masks(decoder, broken).isnan().sum() == 4 * times**2

    tokens = torch.randn(3, 6, 64)
    tokens[1, 1, 5] = torch.nan
    found = heads(decoder, tokens).isnan()
    assert found[1, 1:5].all() and found.sum() == 4


@torch.no_grad()
def test_twins_take_them():
    decoder, (image, _, stride4, stride8) = decoder_of(2, 5, 7)
    prompts = torch.randn(2, 3, 64)
    given = image, torch.randn(64, 5, 7), prompts, stride4, stride8
    twin = twin_of(decoder, CPU_CLASSES, torch.float32)
    for ours, plain in zip(vars(twin(*given)).values(), vars(decoder(*given)).values(), strict=True):
        assert not torch.equal(ours, plain)  # equal: they would be the same code
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
    many = given[0], given[1], torch.randn(2, 11, 64), *given[3:]  # more tokens than they take
    torch.testing.assert_close(twin(*many).logits, decoder(*many).logits, rtol=1e-4, atol=1e-4)
