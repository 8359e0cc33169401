"""A twin shares its weights with the plain network, and leaves it unchanged."""

import pytest
import torch
from torch import nn

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


def test_every_weight_is_shared_and_none_added(model):
    twin = twin_of(model, CPU_CLASSES, torch.float32)
    for ours, plain in (
        (twin.named_parameters(), model.named_parameters()),
        (twin.named_buffers(), model.named_buffers()),
    ):
        ours, plain = dict(ours), dict(plain)
        assert ours.keys() == plain.keys() and all(ours[name] is plain[name] for name in plain)
    assert twin.state_dict().keys() == model.state_dict().keys()


def test_plain_network_stays_unchanged(model):
    classes = [type(module) for module in model.modules()]
    twin = twin_of(model.train(), CPU_CLASSES, torch.float32)
    assert [type(module) for module in model.modules()] == classes
    assert model.training and not twin.training
    model.eval()


def test_classes_replace_only_modules_that_fit():
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 4), nn.ReLU())
    twin = twin_of(module, {nn.Linear: Doubled}, torch.float32)
    assert [type(part) for part in twin] == [Doubled, nn.Linear, nn.ReLU]
    assert type(twin_of(module, {nn.Linear: Doubled}, torch.bfloat16)[0]) is nn.Linear


def test_tied_weights_stay_tied():
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = module[0].weight
    twin = twin_of(module, {nn.Linear: Doubled}, torch.float32)
    assert twin[0].weight is twin[1].weight is module[0].weight


def test_prepared_tensors_need_no_gradients():
    assert not twin_of(nn.Linear(4, 4), {nn.Linear: Doubled}, torch.float32).twice.requires_grad


@pytest.mark.parametrize(("plain", "faster"), CPU_CLASSES.items(), ids=lambda it: it.__name__)
def test_faster_classes_inherit_from_the_plain_ones(plain, faster):
    assert issubclass(faster, plain) and faster is not plain
