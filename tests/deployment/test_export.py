"""The exported graphs do what the network does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sam2_ros.deployment.check import compare
from sam2_ros.deployment.export import export
from sam2_ros.deployment.onnx_model import OnnxSAM2
from sam2_ros.model.checkpoint import load_model
from sam2_ros.model.sam2 import SAM2, ImageFeatures, Memories
from sam2_ros.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def network() -> SAM2:
    return load_model(device="cpu", image_size=192, aspect="4:3")


def test_a_stream_is_tracked_alike(network: SAM2, exported: Path) -> None:
    """Clicks, boxes, masks, corrections and late prompts, of several objects with memories of different lengths."""
    found = compare(network, exported)
    assert found.same_presence and found.difference < 1e-3


def test_any_number_of_memories_and_pointers(network: SAM2, exported: Path) -> None:
    graphs = OnnxSAM2(exported)
    torch.manual_seed(0)
    config = graphs.config
    assert config == network.config
    dim, (height, width) = config.dim, config.shape(1, 1)
    assert (height, width) == (160, 224)
    h, w = height // 16, width // 16
    features = ImageFeatures(
        torch.randn(1, dim // 8, 4 * h, 4 * w),
        torch.randn(1, dim // 4, 2 * h, 2 * w),
        torch.randn(1, dim, h, w),
    )
    for objects, maps, pointers in ((1, 1, 0), (1, 7, 16), (3, 10, 19)):
        memories = Memories(
            torch.randn(objects, maps, config.memory_dim, h, w),
            torch.randint(0, 7, (objects, maps)),
            torch.randn(objects, pointers, dim),
            torch.randint(1, 16, (objects, pointers)),
            torch.arange(maps).expand(objects, -1) < maps - 1 if maps > 1 else None,
        )
        with torch.no_grad():
            expected = network.condition(features, memories)
        torch.testing.assert_close(graphs.condition(features, memories), expected, atol=1e-4, rtol=1e-4)


def test_a_folder_without_graphs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        OnnxSAM2(tmp_path)


def test_graphs_are_for_one_aspect(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="images of one aspect: choose it"):
        next(export(load_model(device="cpu"), tmp_path / "graphs"))
    assert not (tmp_path / "graphs").exists()


def test_graphs_are_not_compiled_once_more(exported: Path) -> None:
    with pytest.raises(TypeError, match="OnnxSAM2 can't be compiled"):
        Tracker(OnnxSAM2(exported), accelerate="compile")
