"""Sizes and shapes of the network, and what its parts promise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sam2_ros.acceleration.cpu.kernels.library import has_cpu_kernels
from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.model.attention import attention
from sam2_ros.model.hiera import from_windows, to_windows
from sam2_ros.model.layers import Kept, LayerNorm2d, Linear, pointwise
from sam2_ros.model.mask_decoder import is_stable
from sam2_ros.model.memory_attention import MemoryTokens, RotaryAttention
from sam2_ros.model.position import axial_rotation, rotate, sine_grid, sine_time
from sam2_ros.model.prompt_encoder import no_points
from sam2_ros.model.sam2 import ABSENT_LOGIT, Memories

# Millions, as released (facebookresearch/sam2, README).
RELEASED = {"tiny": 38.9, "small": 46.0, "base_plus": 80.8, "large": 224.4}


@pytest.fixture(scope="module")
def model() -> SAM2:
    torch.manual_seed(0)
    model = SAM2(CONFIGS["default"].at(128)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(5.0)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def features(model):
    return model.encode_image(torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", CONFIGS)
def test_number_of_parameters(name):
    with torch.device("meta"):
        millions = sum(parameter.numel() for parameter in SAM2(CONFIGS[name]).parameters()) / 1e6
    if name == "default":
        assert millions < 5, "in half precision the shipped weights must stay under 10 MB"
    else:
        assert millions == pytest.approx(RELEASED[name.split("hiera_")[1]], abs=0.1)


def test_image_features(model, features):
    dim = model.config.dim
    assert features.stride4.shape == (2, dim // 8, 32, 32)
    assert features.stride8.shape == (2, dim // 4, 16, 16)
    assert features.stride16.shape == model.without_memory(features).shape == (2, dim, 8, 8)
    assert features[:1].expand(3).stride8.shape == (3, dim // 4, 16, 16)


@pytest.mark.parametrize("points", [0, 1, 4])
@pytest.mark.parametrize("with_mask", [False, True])
def test_decoder(model, features, points, with_mask):
    decoded = model.decode(
        model.without_memory(features),
        features,
        torch.rand(2, points, 2) * 128 if points else None,
        torch.ones(2, points, dtype=torch.int64) if points else None,
        torch.randn(2, 1, 32, 32) if with_mask else None,
        multimask=points <= 1,
    )
    assert decoded.mask_logits.shape == (2, 32, 32)
    assert decoded.all_logits.shape == (2, 4, 32, 32)
    assert decoded.all_iou.shape == (2, 4) and decoded.iou.shape == decoded.presence_logit.shape == (2,)
    assert decoded.pointer.shape == (2, model.config.dim)
    assert decoded.all_iou.min() >= 0 and decoded.all_iou.max() <= 1
    if points <= 1:
        torch.testing.assert_close(decoded.iou, decoded.all_iou[:, 1:].amax(dim=1))
    assert all(bool((candidates == mask).all(dim=(1, 2)).any())
               for candidates, mask in zip(decoded.all_logits, decoded.mask_logits, strict=True))  # fmt: skip


def test_absent_objects(model, features, monkeypatch):
    bias = model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    monkeypatch.setattr(bias, "data", torch.tensor([-5.0]))
    decoded = model.decode(model.without_memory(features), features)
    assert (decoded.presence_logit < 0).all()
    assert (decoded.mask_logits == ABSENT_LOGIT).all()
    assert torch.equal(decoded.pointer, model.no_obj_ptr.expand(2, -1))
    assert (decoded.all_logits > ABSENT_LOGIT).all()
    absent = model.encode_memory(features, decoded.mask_logits, decoded.presence_logit, prompted=False)
    present = model.encode_memory(features, decoded.mask_logits, -decoded.presence_logit, prompted=False)
    torch.testing.assert_close(absent - present, model.no_obj_embed_spatial[..., None, None].expand_as(absent))


def test_a_given_mask_is_the_answer(model, features):
    mask = torch.zeros(2, 1, 128, 128)
    mask[:, :, 32:64, 40:100] = 1
    decoded = model.decode_mask(features, mask)
    inside = decoded.mask_logits[:, 8:16, 10:25]
    assert (inside > 0).all() and (decoded.mask_logits > 0).sum() == inside.numel()
    assert (decoded.iou == 1).all() and (decoded.presence_logit > 0).all()


def test_prompted_masks_are_remembered_binary(model, features):
    logits = torch.randn(2, 32, 32)
    presence = torch.ones(2)
    soft = model.encode_memory(features, logits, presence, prompted=False)
    hard = model.encode_memory(features, logits, presence, prompted=True)
    each = model.encode_memory(features, logits, presence, prompted=torch.tensor([True, False]))
    assert soft.shape == (2, model.config.memory_dim, 8, 8)
    torch.testing.assert_close(each, torch.stack((hard[0], soft[1])))
    torch.testing.assert_close(model.encode_memory(features, 100 * logits, presence, prompted=True), hard)
    assert not torch.allclose(soft, hard)


def memories(model, maps: int, pointers: int) -> Memories:
    config = model.config
    return Memories(
        torch.randn(2, maps, config.memory_dim, 8, 8),
        torch.arange(maps).expand(2, -1),
        torch.randn(2, pointers, config.dim),
        torch.arange(pointers).expand(2, -1),
    )


def test_places_are_not_rounded_in_half_precision(model):
    points, labels = torch.tensor([[[100.0, 50.0]], [[100.5, 50.0]]]), torch.ones(2, 1, dtype=torch.int64)
    expected = model.sam_prompt_encoder.points(points, labels, 128, 128)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.sam_prompt_encoder.points(points, labels, 128, 128), expected)


@pytest.mark.parametrize("presence", [5.0, -5.0])
def test_half_precision_decides_in_float32_and_remembers_in_half(model, presence, monkeypatch):
    bias = model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    monkeypatch.setattr(bias, "data", torch.tensor([presence]))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        seen = model.encode_image(torch.randn(1, 3, 128, 128))
        decoded, memory = model.track(seen, memories(model, 4, 5))
        said = seen.stride16, decoded.mask_logits, decoded.all_iou, decoded.presence_logit, decoded.pointer
        assert all(x.dtype == torch.float32 for x in said)
        assert memory.dtype == torch.bfloat16
        remembered = Memories(memory[:, None], torch.ones(2, 1).long(), decoded.pointer[:, None], torch.ones(2, 1))
        assert model.condition(seen, remembered).dtype == torch.float32


def test_memories_in_any_order(model, features):
    m, order, pointer_order = memories(model, 4, 5), [2, 0, 3, 1], [4, 1, 0, 3, 2]
    shuffled = Memories(
        m.maps[:, order], m.map_age[:, order], m.pointers[:, pointer_order], m.pointer_age[:, pointer_order]
    )
    torch.testing.assert_close(model.condition(features, m), model.condition(features, shuffled))


def test_invalid_memories_do_not_count(model, features):
    m = memories(model, 4, 5)
    few = Memories(m.maps[:, :3], m.map_age[:, :3], m.pointers[:, :2], m.pointer_age[:, :2])
    marked = Memories(
        *(m.maps, m.map_age, m.pointers, m.pointer_age),
        map_valid=torch.tensor([[True] * 3 + [False]] * 2),
        pointer_valid=torch.tensor([[True] * 2 + [False] * 3] * 2),
    )
    torch.testing.assert_close(model.condition(features, marked), model.condition(features, few))
    assert not torch.allclose(model.condition(features, m), model.condition(features, few), atol=1e-3)


def test_threads_of_the_caller_do_not_meet(model):
    """As where the next image is encoded while objects are looked for in this one."""
    remembered = memories(model, 4, 5)

    def step(seed: int) -> list[torch.Tensor]:
        image = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            seen = model.encode_image(image)
            decoded, memory = model.track(seen, remembered)
        return [seen.stride16, decoded.all_logits, memory]

    expected = [step(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(step, [0, 1, 2, 3] * 4))
    for one, other in zip(found, expected * 4, strict=True):
        assert all(map(torch.equal, one, other))


def test_a_step_is_what_pytorchs_operations_compute(monkeypatch, model):
    """Also where there are kernels for this CPU."""
    remembered, kernels = memories(model, 4, 5), has_cpu_kernels(torch.float32)

    @torch.no_grad()
    def step() -> list[torch.Tensor]:
        seen = model.encode_image(torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(1)))
        decoded, memory = model.track(seen, remembered)
        return [seen.stride16, decoded.all_logits, decoded.iou, decoded.presence_logit, memory]

    found = step()
    for user in ("layers", "attention"):
        monkeypatch.setattr(f"sam2_ros.model.{user}.has_cpu_kernels", lambda dtype: False)
    expected = step()
    assert torch.equal(found[0], expected[0]) != kernels  # equal: they would be the same code
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_no_points_are_two_of_padding(model):
    encoder = model.sam_prompt_encoder
    assert torch.equal(encoder.points(*no_points(1, torch.zeros(1)), 64, 96), encoder.nothing())


def test_memory_without_pointers(model, features):
    m = memories(model, 2, 0)
    assert model.condition(features, m).shape == (2, model.config.dim, 8, 8)


def test_stability():
    logits = torch.full((3, 4, 10), -1.0)
    logits[0, :, :5] = 1.0  # a clear edge
    logits[1, :, :5] = 1.0
    logits[1, 0, 0] = 0.0  # 1 of 20 cells is uncertain
    assert is_stable(logits).tolist() == [True, False, True]  # the last has nothing that could be uncertain


@pytest.mark.parametrize("side", [14, 15, 7])
def test_windows_round_trip(side):
    x = torch.randn(2, 14, 15, 3)
    windows = to_windows(x, side)
    assert windows.shape[1:3] == (side, side)
    assert torch.equal(from_windows(windows, 14, 15), x)


def test_rotation_depends_on_relative_position_only():
    rotation = axial_rotation(4, 4, 32, torch.device("cpu"))
    q, k = torch.randn(32), torch.randn(32)
    products = (rotate(q.expand(1, 16, -1), rotation) @ rotate(k.expand(1, 16, -1), rotation).mT).view(4, 4, 4, 4)
    torch.testing.assert_close(products[0, 0, 1, 2], products[2, 1, 3, 3])
    torch.testing.assert_close(products[0, 0, 0, 0], q @ k)
    assert abs(products[0, 0, 1, 2] - products[0, 0, 2, 1]) > 1e-3, "rows and columns turn different channels"


def test_sine_encodings_tell_places_and_ages_apart():
    grid = sine_grid(8, 8, 32, torch.device("cpu")).flatten(1).T
    ages = sine_time(torch.arange(40) / 15, 64)
    for encoded in (grid, ages):
        assert encoded.abs().max() <= 1
        assert (torch.cdist(encoded, encoded) + torch.eye(len(encoded))).min() > 1e-3


@pytest.mark.parametrize("then", ["none", "relu", "gelu"])
def test_linear_layers_are_the_same_while_learning_and_after(then):
    layer, x = Linear(64, 300), torch.randn(2, 2000, 64)  # large enough for oneDNN's product, where it is taken
    expected = layer(x, then)
    with torch.no_grad():
        torch.testing.assert_close(layer(x, then), expected, rtol=1e-5, atol=1e-5)


def test_linear_layers_work_in_bfloat16_where_they_are_asked_to():
    layer, x = Linear(64, 300), torch.randn(2, 2000, 64)
    expected = layer(x, "gelu")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = layer(x, "gelu")
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("unplaced", [0, 5])
def test_tokens_are_turned_alike_while_learning_and_after(dtype, unplaced):
    x, rotation = torch.randn(2, 3 * 12 + unplaced, 16).to(dtype), axial_rotation(3, 4, 16, torch.device("cpu"))
    expected = rotate(x, rotation, unplaced)
    assert torch.equal(x[:, 3 * 12 :], expected[:, 3 * 12 :]) and not torch.equal(x, expected)
    with torch.no_grad():
        torch.testing.assert_close(rotate(x, rotation, unplaced), expected, rtol=0, atol=0)


def test_pointwise_convolutions_in_a_row_are_multiplied():
    first, second, x = torch.nn.Conv2d(6, 20, 1), torch.nn.Conv2d(20, 3, 1), torch.randn(2, 6, 5, 7)
    torch.testing.assert_close(pointwise(x, first, second), second(first(x)), rtol=1e-5, atol=1e-5)


def test_what_is_kept_follows_its_weights():
    weight, kept = torch.nn.Parameter(torch.ones(3)), Kept()
    with torch.no_grad():
        first = kept(lambda: 2 * weight, 3, weight)
        assert kept(lambda: 2 * weight, 3, weight) is first
        weight.data[1] = 5.0  # leaves no trace in the parameter's version
        assert kept(lambda: 2 * weight, 3, weight).tolist() == [2, 10, 2]
        assert kept(lambda: weight[:2], 2, weight).tolist() == [1, 5]
        with torch.autocast("cpu", torch.bfloat16):
            assert kept(lambda: weight[1:], 2, weight).tolist() == [5, 1]
    learning = kept(lambda: weight[:2], 2, weight)
    assert learning.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 3, 33, 70, 16, 8), (1, 1, 100, 3000, 32, 8), (40, 2, 4, 16, 8, 8)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("amx", [False, True])
def test_attention_in_blocks_equals_attention(monkeypatch, dtype, shape, masked, narrow, amx):
    monkeypatch.setattr("sam2_ros.model.attention.AMX", amx)  # either way is right on any CPU
    monkeypatch.setattr("sam2_ros.model.attention.has_cpu_kernels", lambda dtype: False)  # whose tests are elsewhere
    for limit, few in (("BLOCK", 2**14), ("ROWS", 16), ("COLUMNS", 32)):  # several blocks of each kind in some shape
        monkeypatch.setattr(f"sam2_ros.model.attention.{limit}", few)
    b, heads, queries, keys, dim, width = shape
    q, k = torch.randn(b, heads, queries, dim, dtype=dtype), 2 * torch.randn(b, heads, keys, dim, dtype=dtype)
    v = torch.randn(b, heads, keys, width if narrow else dim, dtype=dtype)
    valid = torch.rand(b, keys) < 0.7 if masked else None
    mask = torch.zeros(b, 1, 1, keys) if valid is None else torch.where(valid, 0.0, -torch.inf)[:, None, None]
    expected = (q.float() @ k.float().transpose(2, 3) / dim**0.5 + mask).softmax(dim=-1) @ v.float()
    with torch.no_grad():
        found = attention(q, k, v, valid)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, **({} if dtype == torch.float32 else {"rtol": 0, "atol": 0.05}))


@pytest.mark.parametrize("keys", [64, 5000])
def test_attention_in_bfloat16_learns_as_in_float32(keys):
    """With few keys by plain matrix products, with many by PyTorch's own kernel."""
    inputs = [torch.randn(2, 2, n, 16).bfloat16().float().requires_grad_() for n in (64, keys, keys)]
    weight = torch.randn(2, 2, 64, 16)
    (attention(*inputs) * weight).sum().backward()
    halves = [x.detach().bfloat16().requires_grad_() for x in inputs]
    (attention(*halves).float() * weight).sum().backward()
    for x, half in zip(inputs, halves, strict=True):
        assert (half.grad.float() - x.grad).abs().max() < 0.02 * x.grad.abs().max()


@pytest.mark.parametrize(("kernels", "amx"), [(True, False), (False, False), (False, True)])
def test_conditioning_is_the_same_while_learning_and_after(monkeypatch, model, features, kernels, amx):
    if not kernels:
        monkeypatch.setattr("sam2_ros.model.attention.AMX", amx)
        for user in ("attention.", "position."):
            monkeypatch.setattr(f"sam2_ros.model.{user}has_cpu_kernels", lambda dtype: False)
    m, image = memories(model, 4, 5), features[:1]
    marked = Memories(
        *(m.maps, m.map_age, m.pointers, m.pointer_age),
        map_valid=torch.tensor([[True] * 4, [True, False, True, False]]),
        pointer_valid=torch.tensor([[True, False, True, True, True], [True] * 5]),
    )
    for memory in (m, marked):
        plain = model.condition(image.expand(2), memory)  # each object by itself, values at full width
        with torch.no_grad():
            torch.testing.assert_close(model.condition(image, memory), plain, rtol=1e-5, atol=1e-5)
            with torch.autocast("cpu", torch.bfloat16):
                half = model.condition(image, memory)
            assert (half - plain).norm() < 0.03 * plain.norm()


def test_masked_attention_equals_shorter_attention():
    q, k, v = torch.randn(1, 2, 5, 8), torch.randn(1, 2, 7, 8), torch.randn(1, 2, 7, 8)
    valid = torch.tensor([[True] * 4 + [False] * 3])
    torch.testing.assert_close(attention(q, k, v, valid), attention(q, k[:, :, :4], v[:, :, :4]))


def test_weights_of_memory_attention_are_dropped_in_training_alone():
    """With a chance of 0.1 (Meta's code), beside what is dropped behind it."""
    torch.manual_seed(0)
    layer = RotaryAttention(32, dropout=0.1, key_dim=8)
    query, key = torch.randn(1, 16, 32), torch.randn(1, 16, 8)
    asked = query, MemoryTokens(key, key, 0), (4, 4)
    assert not torch.equal(layer(*asked), layer(*asked))
    layer.eval()
    assert torch.equal(layer(*asked), layer(*asked))


def test_the_formula_for_few_channels_is_the_norm():
    norm, x = LayerNorm2d(4), torch.randn(2, 4, 5, 6) * 3 + 1
    torch.nn.init.normal_(norm.weight)
    torch.testing.assert_close(norm._by_the_formula(x), norm(x))
