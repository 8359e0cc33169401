"""Learning rates and parameter groups."""

import pytest
import torch
from small_network import network

from sam2_ros.training.optimizer import MUON_RATE, Learning, Schedule, optimizers


def by_name(learning: Learning) -> dict[str, dict]:
    """Parameter -> its group's settings."""
    model = network()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    settings = {}
    for optimizer in optimizers(model, learning):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                assert names[id(parameter)] not in settings
                settings[names[id(parameter)]] = group | {"kind": type(optimizer).__name__}
    assert len(settings) == len(names)
    return settings


def test_biases_and_norms_do_not_decay():
    groups = by_name(Learning())
    trunk = "image_encoder.trunk.blocks.1."
    assert groups[f"{trunk}attn.qkv.weight"]["weight_decay"] == 0.1
    assert groups[f"{trunk}attn.qkv.bias"]["weight_decay"] == 0
    assert groups[f"{trunk}norm1.weight"]["weight_decay"] == 0
    assert groups["memory_encoder.mask_downsampler.encoder.1.weight"]["weight_decay"] == 0  # its LayerNorm2d
    assert groups["memory_encoder.mask_downsampler.encoder.0.weight"]["weight_decay"] == 0.1
    assert groups["maskmem_tpos_enc"]["weight_decay"] == 0.1


def test_layer_decay_slows_early_blocks():
    groups = by_name(Learning(lr=1.0, encoder_lr=0.5, layer_decay=0.9))
    rates = {name: group["lr"] for name, group in groups.items()}
    trunk = "image_encoder.trunk."
    assert rates["sam_mask_decoder.iou_token.weight"] == 1
    assert rates["image_encoder.neck.convs.0.conv.weight"] == 0.5
    assert [rates[f"{trunk}blocks.{i}.attn.qkv.weight"] for i in range(4)] == pytest.approx(
        [0.5 * 0.9**4, 0.5 * 0.9**3, 0.5 * 0.9**2, 0.5 * 0.9]
    )
    assert rates[f"{trunk}patch_embed.proj.weight"] == pytest.approx(0.5 * 0.9**5)
    assert rates[f"{trunk}pos_embed"] == rates[f"{trunk}pos_embed_window"] == 0.5


def test_decoder_lr_slows_the_decoder():
    rates = {name: group["lr"] for name, group in by_name(Learning(lr=1.0, encoder_lr=0.5, decoder_lr=0.1)).items()}
    assert rates["sam_mask_decoder.iou_token.weight"] == rates["sam_prompt_encoder.no_mask_embed.weight"] == 0.1
    assert rates["memory_encoder.out_proj.weight"] == rates["maskmem_tpos_enc"] == 1
    assert rates["image_encoder.neck.convs.0.conv.weight"] == 0.5


DECODER = ("sam_mask_decoder.", "sam_prompt_encoder.")


@pytest.mark.parametrize(
    "learning, learns",
    [
        (Learning(encoder_lr=0), lambda name: not name.startswith("image_encoder.")),
        (Learning(memory_lr=0), lambda name: name.startswith(("image_encoder.", *DECODER))),
        (Learning(encoder_lr=0, memory_lr=0), lambda name: name.startswith(DECODER)),
    ],
)
def test_parameters_without_learning_rate_are_frozen(learning, learns):
    model = network()
    moved = {id(p) for each in optimizers(model, learning) for g in each.param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == learns(name) == (id(parameter) in moved), name


def test_muon_optimizes_the_matrices():
    groups = by_name(Learning(lr=1.0, muon=True))
    assert groups["image_encoder.trunk.blocks.1.attn.qkv.weight"]["kind"] == "Muon"
    assert groups["image_encoder.trunk.blocks.1.attn.qkv.weight"]["lr"] == MUON_RATE
    assert groups["image_encoder.neck.convs.0.conv.weight"]["kind"] == "AdamW"
    assert groups["sam_mask_decoder.iou_token.weight"]["kind"] == "AdamW"  # one row is no matrix


def test_learning_rate_warms_up_and_follows_a_cosine():
    learning = Learning(warm_up=4, last_lr=0.2)
    assert [learning.rate(step, 0.0) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert learning.rate(100, 0.5) == pytest.approx(0.2 + 0.8 / 2)
    assert learning.rate(100, 1.0) == pytest.approx(0.2)


def test_schedule_scales_the_learning_rate_of_each_group():
    one, two = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [one], "lr": 1.0}, {"params": [two], "lr": 0.1}])
    schedule = Schedule([optimizer])
    for rate in (0.5, 0.25):
        schedule.set(rate)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate, 0.1 * rate])
