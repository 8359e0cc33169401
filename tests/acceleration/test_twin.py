"""A twin shares its weights with the plain network, which is not modified."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from sam2_ros.acceleration import accelerated
from sam2_ros.acceleration.cpu.classes import CPU_CLASSES
from sam2_ros.acceleration.twin import twin_of


class Doubled(nn.Linear):
    @staticmethod
    def fits(module: nn.Linear, dtype: torch.dtype) -> bool:
        return module.in_features == 4 and dtype == torch.float32

    def prepare(self, dtype: torch.dtype) -> None:
        self.twice = 2 * self.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.twice.mT


def test_weights_are_shared(model):
    twin = twin_of(model, CPU_CLASSES, torch.float32)
    for ours, plain in (
        (twin.named_parameters(), model.named_parameters()),
        (twin.named_buffers(), model.named_buffers()),
    ):
        ours, plain = dict(ours), dict(plain)
        assert ours.keys() == plain.keys() and all(ours[name] is plain[name] for name in plain)
    assert twin.state_dict().keys() == model.state_dict().keys()


def test_plain_network_is_not_modified(model):
    classes = [type(module) for module in model.modules()]
    twin = twin_of(model.train(), CPU_CLASSES, torch.float32)
    assert [type(module) for module in model.modules()] == classes
    assert model.training and not twin.training
    model.eval()


def test_fits_selects_classes():
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 4), nn.ReLU())
    twin = twin_of(module, {nn.Linear: Doubled}, torch.float32)
    assert [type(part) for part in twin] == [Doubled, nn.Linear, nn.ReLU]
    assert type(twin_of(module, {nn.Linear: Doubled}, torch.bfloat16)[0]) is nn.Linear


def test_tied_weights_stay_tied():
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = module[0].weight
    twin = twin_of(module, {nn.Linear: Doubled}, torch.float32)
    assert twin[0].weight is twin[1].weight is module[0].weight


def test_prepared_values_have_no_gradients():
    assert not twin_of(nn.Linear(4, 4), {nn.Linear: Doubled}, torch.float32).twice.requires_grad


@pytest.mark.parametrize(("plain", "faster"), CPU_CLASSES.items(), ids=lambda it: it.__name__)
def test_faster_classes_inherit_from_plain_ones(plain, faster):
    assert issubclass(faster, plain) and faster is not plain


class Adapted(nn.Linear):
    """As adapters for fine-tuning do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1


@torch.no_grad()
def test_replaced_submodules_are_not_bypassed(model, image):
    own = deepcopy(model)
    own.image_encoder.trunk.blocks[1].attn.qkv.__class__ = Adapted
    ours, plain = (accelerated(own, enabled=enabled).encode_image(image).stride16 for enabled in (True, False))
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(plain, model.encode_image(image).stride16, atol=1e-2)


def test_hooks_are_shared(model, image):
    own, fired = deepcopy(model), []
    own.image_encoder.trunk.blocks[0].attn.register_forward_hook(lambda *_: fired.append("before"))
    network = accelerated(own)
    own.sam_mask_decoder.register_forward_hook(lambda *_: fired.append("after"))
    features = network.encode_image(image)
    network.decode(network.condition(features, None), features)
    assert fired == ["before", "after"]
