"""The step as CUDA graphs equals the plain step, and nothing is recorded while objects come and go.

Without a GPU there are no graphs: a mock then runs what was recorded anew at every replay, so that all is tested but
the recording.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from come_and_go import come_and_go, largest_difference
from small_clips import make_clip

from sam2_ros.acceleration import Capacity, Choice, Network, door
from sam2_ros.acceleration.cuda import graphs, recording
from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.cuda.graphs import GraphedNetwork
from sam2_ros.acceleration.cuda.recording import SHAPES, Recording
from sam2_ros.acceleration.inference import Inference
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.tracking import Click, Prompt, Tracker, graphed_pixels
from sam2_ros.tracking.memory_bank import most_recalled

pytestmark = pytest.mark.slow

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")


class FakeRecording:
    """The mock of a recording."""

    def __init__(self, function, inputs, pool=None) -> None:
        self.function, self.inputs, self.pool = function, inputs, pool
        self.outputs = function(*inputs)

    def __call__(self):
        return self.function(*self.inputs)


@pytest.fixture
def recorded(monkeypatch) -> list[str]:
    """A line for each recording."""
    lines = []
    real = Recording if GPU else FakeRecording

    def record(function, inputs, pool=None):
        lines.append(function.__name__)
        return real(function, inputs, pool)

    for module in (graphs, graphed_pixels):
        monkeypatch.setattr(module, "Recording", record)
    if not GPU:
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
        monkeypatch.setattr(torch.cuda, "Event", lambda: SimpleNamespace(synchronize=int, record=int))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: 0)
    return lines


@pytest.fixture
def network() -> SAM2:
    """Every parameter is random, objects are always present, and candidates of clearly different worth, or rounding
    would choose among them."""
    torch.manual_seed(0)
    network = SAM2(CONFIGS["default"].at(64)).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    network.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(5.0)
    network.sam_mask_decoder.iou_prediction_head.layers[-1].bias += 0.2 * torch.arange(4)
    return network.to(DEVICE)


def graphed(model: SAM2, dtype: torch.dtype = torch.float32, objects: int = 16) -> Network:
    """The result of `accelerate` for a model on a GPU, for a tracker with its defaults."""
    network = Inference(twin_of(model, CUDA_CLASSES, dtype), Choice(dtype, "PyTorch"))
    maps, pointers = (4 + reach for reach in most_recalled(model.config))
    return GraphedNetwork(network, objects, maps, pointers)


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-3), (torch.float16, 0.02), (torch.bfloat16, 0.1)])
def test_graphs_equal_plain_while_objects_come_and_go(network, recorded, dtype, allowed):
    plain = Tracker(network, history=4, dtype=dtype, accelerate=False)
    replaying = graphed(network, dtype, objects=5)
    replaying.warm_up()
    replaying = Tracker(replaying, history=4, max_objects=5)
    assert recorded == ["encode_image", *4 * ["track"]]  # for 5, 4, 2 objects and 1; there will be up to 3
    largest = 0.0
    for index, known in come_and_go(plain, replaying):
        for a, b in zip(plain.newest.masklets, replaying.newest.masklets, strict=True):
            assert (a.mask != b.mask).mean() < (0.001 if dtype == torch.float32 else 0.02)
        largest = max(largest, largest_difference(known, allowed))
        if index == 0:
            assert recorded[5:] == ["to_network", *4 * ["to_masks"]]
            recorded.clear()
    assert largest < allowed
    assert not recorded, "everything was there after the first image"


def test_a_batch_of_images_equals_single_ones(network, recorded):
    replaying = graphed(network, objects=1)
    replaying.warm_up()
    recorded.clear()
    images = torch.randn(3, 3, *replaying.config.shape(3, 4), device=DEVICE)
    with torch.no_grad():
        batch = vars(replaying.encode_image(images))
        singles = [vars(replaying.encode_image(image[None])) for image in images]
    assert not recorded
    for name, features in batch.items():
        assert torch.equal(features, torch.cat([single[name] for single in singles])), name


def test_more_objects_than_recorded_run_eagerly(network, recorded, monkeypatch):
    monkeypatch.setattr(recording, "MAX_OBJECTS", 1)
    network = graphed(network)
    network.warm_up()
    tracker = Tracker(network)
    assert recorded == ["encode_image", "track"]
    image = make_clip(frames=1).frames[0]
    tracker.step(image)
    for x in (20, 40):
        tracker.prompt(Prompt(clicks=(Click(x, 20),)))
    assert len(tracker.step(image).masklets) == 2


def test_image_shapes_are_recorded_at_first_use_and_the_oldest_dropped(network, recorded):
    network.config = replace(network.config, image_size=160, aspect="image")
    accelerated = graphed(network, objects=1)
    accelerated.warm_up()
    tracker = Tracker(accelerated, max_objects=1)
    image = make_clip(frames=1).frames[0]
    tracker.step(image)
    tracker.prompt(Prompt(clicks=(Click(20, 20),)))
    for width in (2, 4, 6, 8, 12):
        tracker.step(np.tile(image, (1, width, 1)))
    shapes = {network.config.shape(len(image), width * image.shape[1]) for width in (1, 2, 4, 6, 8, 12)}
    known = {network.config.shape(3, 4), network.config.shape(9, 16)}
    assert recorded.count("encode_image") == len(shapes | known) > SHAPES and recorded.count("to_network") == 6
    assert len(tracker.network._shapes) == len(tracker._pixels._sizes) == SHAPES
    recorded.clear()
    tracker.step(np.tile(image, (1, 12, 1)))
    assert not recorded
    assert tracker.newest.masklet(1) is not None


def test_failed_recordings_run_eagerly(network, recorded, monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("no capture today")

    for module in (graphs, graphed_pixels):
        monkeypatch.setattr(module, "Recording", fails)
    accelerated = graphed(network)
    with pytest.raises(RuntimeError, match="accelerate=False needs none"):
        accelerated.warm_up()
    tracker = Tracker(accelerated)
    image = make_clip(frames=1).frames[0]
    tracker.step(image)
    tracker.prompt(Prompt(clicks=(Click(20, 20),)))
    assert len(tracker.step(image).masklets) == 1
    assert "no capture today" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError("no capture today"), torch.OutOfMemoryError("no memory left")])
def test_accelerate_runs_without_graphs_if_recording_fails(network, recorded, monkeypatch, caplog, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(graphs, "Recording", fails)
    accelerated = door._on_cuda(network, torch.float32, Capacity(1, 7, 16))
    assert isinstance(accelerated, Inference) and not accelerated.choice.graphs
    assert str(error) in caplog.text


@torch.no_grad()
def test_graphs_are_recorded_again_after_weights_change(network, recorded):
    accelerated = graphed(network, objects=1)
    image = torch.randn(1, 3, 64, 64, device=DEVICE)
    before = accelerated.encode_image(image)
    assert torch.equal(accelerated.encode_image(image).stride16, before.stride16)
    assert recorded == ["encode_image", "track"]
    network.image_encoder.neck.convs[1].conv.bias += 1
    after = accelerated.encode_image(image)
    assert recorded == 2 * ["encode_image", "track"]
    torch.testing.assert_close(after.stride16, before.stride16 + 1)


def test_position_encodings_live_as_long_as_the_graphs_that_read_them(network, recorded):
    accelerated = graphed(network, objects=1)
    accelerated.encode_image(torch.zeros(1, 3, 64, 64, device=DEVICE))
    model, tables = accelerated.network.model, accelerated._shapes[64, 64]._tables
    assert tables[0] is model.image_encoder.trunk.position(16, 16)
    assert tables[1] is model.position(4, 4, model.config.dim)
    assert tables[2] is model.position(4, 4, model.config.memory_dim)
    assert tables[3] is model.memory_attention.rotation(4, 4)
    assert tables[4] is model.sam_prompt_encoder.pe_layer.grid(4, 4)
