"""Shapes of the network's five functions, and what they promise."""

from __future__ import annotations

import pytest
import torch

from sam2_ros.model import CONFIGS, SAM2
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
    assert features.stride16.shape == model.condition(features, None).shape == (2, dim, 8, 8)


@pytest.mark.parametrize("points", [0, 1, 4])
@pytest.mark.parametrize("with_mask", [False, True])
def test_decoder(model, features, points, with_mask):
    decoded = model.decode(
        model.condition(features, None),
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
    decoded = model.decode(model.condition(features, None), features)
    assert (decoded.presence_logit < 0).all()
    assert (decoded.mask_logits == ABSENT_LOGIT).all()
    assert torch.equal(decoded.pointer, model.no_obj_ptr.expand(2, -1))
    assert (decoded.all_logits > ABSENT_LOGIT).all()
    absent = model.encode_memory(features, decoded.mask_logits, decoded.presence_logit, prompted=False)
    present = model.encode_memory(features, decoded.mask_logits, -decoded.presence_logit, prompted=False)
    torch.testing.assert_close(absent - present, model.no_obj_embed_spatial[..., None, None].expand_as(absent))


def test_given_mask_is_the_answer(model, features):
    mask = torch.zeros(2, 1, 128, 128)
    mask[:, :, 32:64, 40:100] = 1
    decoded = model.decode_mask(features, mask)
    inside = decoded.mask_logits[:, 8:16, 10:25]
    assert (inside > 0).all() and (decoded.mask_logits > 0).sum() == inside.numel()
    assert (decoded.iou == 1).all() and (decoded.presence_logit > 0).all()


def test_prompted_masks_are_encoded_binary(model, features):
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


def test_positions_are_not_rounded_in_half_precision(model):
    points, labels = torch.tensor([[[100.0, 50.0]], [[100.5, 50.0]]]), torch.ones(2, 1, dtype=torch.int64)
    expected = model.sam_prompt_encoder.points(points, labels, 128, 128)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.sam_prompt_encoder.points(points, labels, 128, 128), expected)


@pytest.mark.parametrize("presence", [5.0, -5.0])
def test_half_precision_decodes_in_float32_and_remembers_in_half(model, presence, monkeypatch):
    bias = model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    monkeypatch.setattr(bias, "data", torch.tensor([presence]))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        seen = model.encode_image(torch.randn(1, 3, 128, 128))
        decoded, memory = model.track(seen, memories(model, 4, 5))
        outputs = seen.stride16, decoded.mask_logits, decoded.all_iou, decoded.presence_logit, decoded.pointer
        assert all(x.dtype == torch.float32 for x in outputs)
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


def test_memory_without_pointers(model, features):
    m = memories(model, 2, 0)
    assert model.condition(features, m).shape == (2, model.config.dim, 8, 8)
