"""The step as CUDA graphs does what the plain one does, and nothing is recorded while objects come and go.

Without a GPU there are no graphs: a mock then runs what was recorded anew at every replay, so that all is tested but
the recording.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from come_and_go import come_and_go, furthest
from small_clips import make_clip

from sam2_ros.acceleration.cuda.recording import SHAPES, Recording
from sam2_ros.model import SAM2, graphed, recording
from sam2_ros.tracking import Click, Prompt, Tracker, graphed_pixels

pytestmark = pytest.mark.slow

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")


class Rerun:
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
    real = Recording if GPU else Rerun

    def record(function, inputs, pool=None):
        lines.append(function.__name__)
        return real(function, inputs, pool)

    for module in (graphed, graphed_pixels):
        monkeypatch.setattr(module, "Recording", record)
    if not GPU:
        monkeypatch.setattr(graphed, "GPU", "cpu")
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
        monkeypatch.setattr(torch.cuda, "Event", lambda: SimpleNamespace(synchronize=int, record=int))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: 0)
    return lines


@pytest.fixture
def network(model) -> SAM2:
    """Candidates of clearly different worth, or rounding would choose among them."""
    network = SAM2(model.config).eval()
    network.load_state_dict(model.state_dict())
    with torch.no_grad():
        network.sam_mask_decoder.iou_prediction_head.layers[-1].bias += 0.2 * torch.arange(4)
    return network.to(DEVICE)


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-3), (torch.float16, 0.02), (torch.bfloat16, 0.1)])
def test_graphs_equal_plain_while_objects_come_and_go(network, recorded, dtype, allowed):
    plain = Tracker(network, history=4, dtype=dtype, accelerate="off")
    graphs = Tracker(network, history=4, dtype=dtype, max_objects=5, accelerate="graphs")
    assert recorded == ["encode_image", *4 * ["track"]]  # for 5, 4, 2 objects and 1; there will be up to 3
    largest = 0.0
    for index, known in come_and_go(plain, graphs):
        for a, b in zip(plain.newest.masklets, graphs.newest.masklets, strict=True):
            assert (a.mask != b.mask).mean() < (0.001 if dtype == torch.float32 else 0.02)
        largest = max(largest, furthest(known, allowed))
        if index == 0:
            assert recorded[5:] == ["to_network", *4 * ["to_masks"]]
            recorded.clear()
    assert largest < allowed
    assert not recorded, "everything was there after the first image"


def test_more_objects_than_are_recorded_run_as_they_are(network, recorded, monkeypatch):
    monkeypatch.setattr(recording, "MOST_OBJECTS", 1)
    tracker = Tracker(network, accelerate="graphs")
    assert recorded == ["encode_image", "track"]
    image = make_clip(frames=1).frames[0]
    tracker.step(image)
    for x in (20, 40):
        tracker.prompt(Prompt(clicks=(Click(x, 20),)))
    assert len(tracker.step(image).masklets) == 2


def test_shapes_of_images_are_recorded_as_they_come_and_the_oldest_let_go(network, recorded):
    network.config = replace(network.config, image_size=160, aspect="image")
    tracker = Tracker(network, max_objects=1, accelerate="graphs")
    image = make_clip(frames=1).frames[0]
    tracker.step(image)
    tracker.prompt(Prompt(clicks=(Click(20, 20),)))
    for width in (2, 4, 6, 8, 12):
        tracker.step(np.tile(image, (1, width, 1)))
    shapes = {network.config.shape(len(image), width * image.shape[1]) for width in (1, 2, 4, 6, 8, 12)}
    known = {network.config.shape(3, 4), network.config.shape(9, 16)}
    assert recorded.count("encode_image") == len(shapes | known) > SHAPES and recorded.count("to_network") == 6
    assert len(tracker.model._shapes) == len(tracker._pixels._sizes) == SHAPES
    recorded.clear()
    tracker.step(np.tile(image, (1, 12, 1)))
    assert not recorded
    assert tracker.newest.masklet(1) is not None


def test_what_cannot_be_recorded_runs_as_it_is(network, recorded, monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("no capture today")

    for module in (graphed, graphed_pixels):
        monkeypatch.setattr(module, "Recording", fails)
    with pytest.raises(RuntimeError, match="accelerate off needs none"):
        Tracker(network, accelerate="graphs")
    if GPU:
        assert Tracker(network).model is network
    monkeypatch.setattr(graphed.GraphedSAM2, "warm_up", lambda self: None)
    tracker = Tracker(network, accelerate="graphs")
    image = make_clip(frames=1).frames[0]
    tracker.step(image)
    tracker.prompt(Prompt(clicks=(Click(20, 20),)))
    assert len(tracker.step(image).masklets) == 1
    assert "no capture today" in caplog.text


def test_models_without_graphs_are_refused(model):
    with pytest.raises(ValueError, match="need a CUDA GPU"):
        Tracker(model, accelerate="graphs")
    with pytest.raises(TypeError, match="only PyTorch models"):
        graphed.GraphedSAM2(object(), 1, 1, 1)
