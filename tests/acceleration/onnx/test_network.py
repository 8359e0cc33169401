"""Exported graphs equal the network; damaged ones are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from sam2_ros.acceleration.onnx.errors import GraphError
from sam2_ros.acceleration.onnx.network import OnnxNetwork
from sam2_ros.checkpoints.load import load_model
from sam2_ros.model.sam2 import SAM2, ImageFeatures, Memories
from sam2_ros.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def network() -> SAM2:
    return load_model(device="cpu", image_size=192, aspect="4:3")


def test_any_number_of_memories_and_pointers(network: SAM2, exported: Path) -> None:
    graphs = OnnxNetwork(exported)
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


def test_a_batch_of_images(network: SAM2, exported: Path) -> None:
    images = torch.randn(2, 3, *network.config.shape(1, 1))
    with torch.no_grad():
        expected = vars(network.encode_image(images))
    for name, features in vars(OnnxNetwork(exported).encode_image(images)).items():
        torch.testing.assert_close(features, expected[name], atol=1e-3, rtol=1e-3)


def test_a_folder_without_graphs(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"config\.json"):
        OnnxNetwork(tmp_path)


def test_missing_graphs_are_named(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "graphs"))
    (folder / "decode.onnx").unlink()
    (folder / "encode_memory.onnx").unlink()
    with pytest.raises(GraphError, match=r"graphs: lacks decode\.onnx, encode_memory\.onnx"):
        OnnxNetwork(folder)


def test_damaged_graphs_are_named(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "graphs"))
    for content in (b"", b"junk" * 99, (folder / "decode.onnx").read_bytes()[:5000]):
        (folder / "decode.onnx").write_bytes(content)
        with pytest.raises(GraphError, match=r"decode\.onnx: not a (readable graph|graph as)"):
            OnnxNetwork(folder)


def test_a_config_of_another_network_is_refused(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "graphs"))
    config = json.loads((folder / "config.json").read_text())
    for key, value, graph in (("image_size", 320, "encode_image"), ("dim", 256, "decode"), ("memory_dim", 32, "condi")):
        (folder / "config.json").write_text(json.dumps(config | {key: value}))
        with pytest.raises(GraphError, match=rf"{graph}.*but config\.json is of another network"):
            OnnxNetwork(folder)


def test_graphs_track_in_float32_only(exported: Path) -> None:
    network = OnnxNetwork(exported)
    assert Tracker(network).network is Tracker(network, dtype=torch.float32).network is network
    with pytest.raises(ValueError, match=r"computes in torch\.float32, not in torch\.bfloat16"):
        Tracker(network, dtype=torch.bfloat16)
