"""Inference mode: precision, no gradients, changed weights."""

import gc
import pickle
import weakref
from copy import deepcopy

import pytest
import torch

from sam2_ros.acceleration import Choice, accelerate, accelerated, choice_of
from sam2_ros.acceleration.inference import Inference


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_inference_mode_and_precision(model, image, memories, enabled, dtype):
    learning = deepcopy(model).requires_grad_(True)
    network = accelerated(learning, dtype, enabled=enabled)
    features = network.encode_image(image)
    decoded, memory = network.track(features, memories)
    outputs = features.stride16, decoded.mask_logits, decoded.all_iou, decoded.presence_logit, decoded.pointer
    assert all(output.dtype == torch.float32 and not output.requires_grad for output in outputs)
    assert memory.dtype == dtype and choice_of(network).dtype == dtype
    assert torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("how", ["in place", "loaded", "assigned", "fused optimizer"])
def test_changed_weights_are_prepared_again(model, image, how):
    """Cached positions and merged convolutions are computed again."""
    own = deepcopy(model)
    network = accelerate(own)
    before = network.encode_image(image)
    changed = {name: weight * 1.5 for name, weight in own.state_dict().items()}
    with torch.no_grad():
        if how == "in place":
            for name, weight in own.state_dict().items():
                weight.copy_(changed[name])
        elif how == "fused optimizer":
            own.requires_grad_(True)
            optimizer = torch.optim.SGD(own.parameters(), lr=0.5, fused=True)
            for parameter in own.parameters():
                parameter.grad = -parameter
            optimizer.step()
        else:
            own.load_state_dict(changed, assign=how == "assigned")
    after, expected = network.encode_image(image), own.encode_image(image)
    for name in ("stride4", "stride8", "stride16"):
        torch.testing.assert_close(getattr(after, name), getattr(expected, name), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(getattr(before, name), getattr(after, name), atol=1e-2)


def test_choice_of_a_network(model):
    assert str(Choice(torch.bfloat16, "Triton", graphs=True)) == "bfloat16, Triton, CUDA graphs"
    assert choice_of(model).kernels == "PyTorch"
    plain = accelerated(model, torch.float32, enabled=False)
    assert isinstance(plain, Inference) and plain.model is model
    assert choice_of(plain).kernels.startswith("PyTorch (")


def test_dropped_networks_are_freed(model, image):
    own = deepcopy(model)
    network = accelerate(own)
    network.encode_image(image)
    freed = weakref.ref(own), weakref.ref(network.model)
    gc.disable()
    try:
        del own, network
        assert [reference() for reference in freed] == [None, None]
    finally:
        gc.enable()


def test_networks_can_be_pickled(model, image):
    network = accelerate(deepcopy(model))
    again = pickle.loads(pickle.dumps(network))
    assert torch.equal(again.encode_image(image).stride16, network.encode_image(image).stride16)
