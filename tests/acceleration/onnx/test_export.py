"""The exported graphs do what the network does."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from sam2_ros.acceleration.onnx.config import read_config
from sam2_ros.acceleration.onnx.errors import GraphError
from sam2_ros.acceleration.onnx.export import export
from sam2_ros.acceleration.onnx.graphs import GRAPHS, Functions
from sam2_ros.acceleration.onnx.network import OnnxNetwork
from sam2_ros.checkpoints.load import load_model
from sam2_ros.deployment.check import compare
from sam2_ros.model.config import CONFIGS
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


def test_a_folder_without_graphs(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"config\.json"):
        OnnxNetwork(tmp_path)


def test_graphs_that_are_missing_are_named(exported: Path, tmp_path: Path) -> None:
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


NO_CONFIG = {
    "no JSON": b"{",
    "not UTF-8": b"\xff\xfe{}",
    "a list": b"[]",
    "null": b"null",
    "no keys": b"{}",
    "lists in lists": b"[" * 30_000,
    "objects in objects": b'{"hiera": ' * 5000,
    "endless": b" " * 100_000,
    "a number of 9,999 digits": b'{"image_size": ' + b"9" * 9999 + b"}",
}

WRONG_VALUES = {
    "name": [None, 5, "", "x" * 1000],
    "image_size": [192.0, "192", True, None, 0, -32, 10**300, 10**9],
    "aspect": [5, None, ""],
    "dim": [0, 1.5, [128], float("nan")],
    "remembered_presence": ["0", float("inf"), float("nan"), True, 10**400],
    "half": ["float8", None],
    "absent_memory_embedding": [1, "true", None],
    "hiera": [None, [], 5, {}, {"embed_dim": 32}, {"unknown": 1}],
    "hiera.blocks": [[1, 2, 5], [1, 2, 5, 2.5], [1, 2, 5, -1], 5, [[1], 2, 5, 2]],
    "hiera.global_blocks": [5, ["3"]],
    "other": [1],
}


def config_refused(folder: Path, text: bytes) -> str:
    (folder / "config.json").write_bytes(text)
    with pytest.raises(GraphError) as error:
        read_config(folder)
    said = str(error.value)
    assert said.startswith(f"{folder}/config.json: ") and "\n" not in said and len(said) < 400
    return said


@pytest.mark.parametrize("kind", NO_CONFIG)
def test_a_broken_config_is_refused_in_a_sentence(tmp_path: Path, kind: str) -> None:
    config_refused(tmp_path, NO_CONFIG[kind])


@pytest.mark.parametrize("key", WRONG_VALUES)
def test_a_wrong_value_of_a_config_is_refused_by_its_key(tmp_path: Path, key: str) -> None:
    for value in WRONG_VALUES[key]:
        config = asdict(CONFIGS["default"].at(aspect="4:3"))
        *inside, last = key.split(".")
        (config[inside[0]] if inside else config)[last] = value
        assert key in config_refused(tmp_path, json.dumps(config).encode()), value


@pytest.mark.parametrize("key", ["name", "hiera"])
def test_a_key_that_a_config_lacks_is_named(tmp_path: Path, key: str) -> None:
    config = asdict(CONFIGS["default"])
    del config[key]
    assert f"the key '{key}' is missing" in config_refused(tmp_path, json.dumps(config).encode())


def test_images_of_impossible_sizes_are_refused(tmp_path: Path) -> None:
    for key, values in {"image_size": [100, 8192], "aspect": ["wide", "0:1", "1:" + "9" * 90]}.items():
        for value in values:
            config = asdict(CONFIGS["default"]) | {key: value}
            assert str(value) in config_refused(tmp_path, json.dumps(config).encode())


def test_a_config_of_another_network_is_refused(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "graphs"))
    config = json.loads((folder / "config.json").read_text())
    for key, value, graph in (("image_size", 320, "encode_image"), ("dim", 256, "decode"), ("memory_dim", 32, "condi")):
        (folder / "config.json").write_text(json.dumps(config | {key: value}))
        with pytest.raises(GraphError, match=rf"{graph}.*but config\.json is of another network"):
            OnnxNetwork(folder)


def test_every_graph_has_a_name(network: SAM2) -> None:
    assert tuple(Functions(network).graphs()) == GRAPHS


def test_graphs_are_for_one_aspect(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="images of one aspect: choose it"):
        next(export(load_model(device="cpu"), tmp_path / "graphs"))
    assert not (tmp_path / "graphs").exists()


def test_graphs_are_not_compiled_once_more(exported: Path) -> None:
    with pytest.raises(TypeError, match="OnnxNetwork can't be compiled"):
        Tracker(OnnxNetwork(exported), accelerate="compile")
