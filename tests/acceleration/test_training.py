"""Faster classes for training have the gradients of the plain ones."""

from copy import deepcopy

import pytest
import torch

from sam2_ros.acceleration import for_training
from sam2_ros.acceleration.training import CPU_TRAINING_CLASSES, CUDA_TRAINING_CLASSES, cpu_attention
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.attention import attention
from sam2_ros.model.layers import LayerNorm2d


@pytest.mark.parametrize("ignores", [False, True])
@pytest.mark.parametrize("tokens", [64, 1024])
def test_attention_in_bfloat16_has_the_gradients_of_float32(tokens, ignores):
    valid = (torch.arange(tokens) % 3 > 0).expand(2, tokens) if ignores else None
    inputs = [torch.randn(2, 2, tokens, 16).bfloat16().float().requires_grad_() for _ in range(3)]
    weight = torch.randn(2, 2, tokens, 16)
    (attention(*inputs, valid) * weight).sum().backward()
    halves = [x.detach().bfloat16().requires_grad_() for x in inputs]
    with torch.autocast("cpu", torch.bfloat16):
        result = cpu_attention(*halves, valid)
    assert result.dtype == torch.bfloat16
    (result.float() * weight).sum().backward()
    for x, half in zip(inputs, halves, strict=True):
        assert (half.grad.float() - x.grad).abs().max() < 0.02 * x.grad.abs().max()


@pytest.mark.parametrize("training", [True, False])
def test_training_twin_shares_weights(model, image, training):
    own = deepcopy(model).requires_grad_(True).train(training)
    twin = for_training(own, torch.bfloat16)
    assert twin.training == training and {type(part) for part in twin.modules()} >= set(CPU_TRAINING_CLASSES.values())
    with torch.autocast("cpu", torch.bfloat16):
        twin.encode_image(image).stride16.square().sum().backward()
    assert all(one is other for one, other in zip(twin.parameters(), own.parameters(), strict=True))
    assert own.image_encoder.trunk.blocks[0].attn.qkv.weight.grad.any()


def test_layer_norms_of_few_channels_for_cuda():
    plain = torch.nn.Sequential(LayerNorm2d(4), LayerNorm2d(64))
    twin = twin_of(plain, CUDA_TRAINING_CLASSES, torch.float32)
    assert [type(part) for part in twin] == [CUDA_TRAINING_CLASSES[LayerNorm2d], LayerNorm2d]
    x, other = (torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0)).requires_grad_() for _ in range(2))
    twin[0](x).square().sum().backward()
    plain[0](other).square().sum().backward()
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-4, atol=1e-4)
