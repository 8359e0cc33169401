"""The shipped weights in the half precision that their config names."""

from dataclasses import astuple

import numpy as np
import pytest
import torch

from sam2_ros import load_model
from sam2_ros.evaluation.prompts import prompt_object
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking import Tracker
from sam2_ros.tracking.pixels import to_network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip():
    return SyntheticScenes(SceneSettings(240, 320, frames=8, objects=(2, 3), leaving=0)).scene(1)


def masks_of(tracker, clip):
    """Masks [frames, objects, H, W], from a click on each object on the first frame."""
    frames = []
    for index, image in enumerate(clip.frames):
        tracker.step(image)
        if index == 0:
            for object_id, mask in zip(clip.object_ids, clip.masks[0], strict=True):
                prompt_object(tracker, "click", object_id, mask)
        frames.append([masklet.mask for masklet in tracker.newest.masklets])
    return np.array(frames)


def test_masks_equal_float32(clip):
    model = load_model(device="cpu")
    plain, half = (  # the plain network: kernels for CPUs stay in float32
        masks_of(Tracker(model, dtype=dtype, accelerate=False), clip)
        for dtype in (torch.float32, getattr(torch, model.config.half))
    )
    intersection, union = (plain & half).sum(axis=(2, 3)), (plain | half).sum(axis=(2, 3))
    assert plain.any(axis=(1, 2, 3)).all()
    assert (intersection[union > 0] / union[union > 0]).mean() > 0.99


def test_only_residual_branches_are_rounded(clip):
    """With sums between blocks, patches or neck in bfloat16 it would be 0.006 to 0.009."""
    model = load_model(device="cpu")
    image = to_network(clip.frames[0], model.config, torch.device("cpu"))
    with torch.no_grad():
        plain = model.encode_image(image).stride16
        with torch.autocast("cpu", torch.bfloat16):
            half = model.encode_image(image).stride16
    varies = (plain - plain.mean(dim=(2, 3), keepdim=True)).norm()
    assert 0 < (half - plain).norm() / varies < 0.0052


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_decoder_computes_in_float32(clip, dtype):
    model = load_model(device="cpu")
    with torch.no_grad():
        features = model.encode_image(to_network(clip.frames[0], model.config, torch.device("cpu")))
        points, labels = torch.tensor([[[120.0, 90.0]]]), torch.tensor([[1]])
        plain = model.decode(model.condition(features, None), features, points, labels)
        with torch.autocast("cpu", dtype):
            half = model.decode(model.condition(features, None), features, points, labels)
    for one, other in zip(astuple(plain), astuple(half), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)


def test_activations_stay_far_below_the_largest_float16(clip):
    model = load_model(device="cpu")
    assert model.config.half == "float16"
    largest = {}

    def watch(name):
        def look(module, inputs, output):
            if isinstance(output, torch.Tensor) and output.is_floating_point():
                largest[name] = max(largest.get(name, 0.0), output.abs().max().item())

        return look

    for name, module in model.named_modules():
        module.register_forward_hook(watch(name))
    masks_of(Tracker(model, accelerate=False), clip)
    assert len(largest) > 100
    assert max(largest.values()) < 1000, max(largest, key=largest.get)
