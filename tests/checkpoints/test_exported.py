"""Folders of exported graphs open like other checkpoints, for the model, size and aspect of their export."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sam2_ros
from sam2_ros.acceleration.onnx.network import OnnxNetwork
from sam2_ros.checkpoints import CheckpointError, load_model, load_sam2, save_official, save_weights

IMAGE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
EXPORT_AGAIN = r"`python -m sam2_ros\.deployment` writes it beside the graphs; export them again\."


def intra_op_threads(network: OnnxNetwork) -> set[int]:
    return {session.get_session_options().intra_op_num_threads for session in network._sessions.values()}


def test_exported_graphs_track(exported: Path) -> None:
    network = load_model(checkpoint=str(exported))
    assert isinstance(network, OnnxNetwork)
    assert (network.config.name, network.config.image_size, network.config.aspect) == ("default", 192, "4:3")
    tracker = sam2_ros.Tracker(network)
    tracker.step(IMAGE, 0)
    tracker.prompt(sam2_ros.Prompt(mask=np.indices((96, 128))[1] < 64))
    (masklet,) = tracker.step(IMAGE, 1).masklets
    assert masklet.mask[:, :56].mean() > 0.9 and masklet.mask[:, 72:].mean() < 0.1


def test_exported_graphs_segment_images_like_weights(exported: Path) -> None:
    answers = []
    for model in (load_model(checkpoint=exported), load_model(device="cpu", image_size=192, aspect="4:3")):
        predictor = sam2_ros.ImagePredictor(model)
        predictor.set_image(IMAGE)
        answers.append(predictor.predict([sam2_ros.Click(40, 50)]).logits)
    assert float((answers[0] - answers[1]).abs().max()) < 1e-3


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "default"},
        {"device": "cpu"},
        {"image_size": 192},
        {"aspect": "4:3"},
        {"aspect": "640x480"},
        {"name": "default", "device": "cpu", "image_size": 192, "aspect": "640:480"},
    ],
    ids=str,
)
def test_arguments_that_match_the_export_are_accepted(exported: Path, arguments: dict) -> None:
    assert isinstance(load_model(checkpoint=exported, **arguments), OnnxNetwork)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "sam2.1_hiera_tiny"}, r"graphs of the model 'default', not of 'sam2\.1_hiera_tiny'"),
        ({"name": "sam3"}, "no model named 'sam3'"),
        ({"device": "meta"}, "run on the CPU, not on meta"),
        ({"image_size": 320}, "graphs for 192 pixels, aspect 4:3, not for 320 pixels, aspect 4:3.* export again"),
        ({"aspect": "16:9"}, "graphs for 192 pixels, aspect 4:3, not for 192 pixels, aspect 16:9.* export again"),
        ({"aspect": "image"}, "not for 192 pixels, aspect image"),
    ],
    ids=str,
)
def test_arguments_that_contradict_the_graphs_are_refused(exported: Path, arguments: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_model(checkpoint=exported, **arguments)


@pytest.mark.parametrize(
    "arguments", [{"image_size": 100}, {"aspect": "wide"}, {"device": "gpu"}, {"device": "cuda:77"}], ids=str
)
def test_impossible_arguments_are_value_errors(exported: Path, arguments: dict) -> None:
    for checkpoint in (exported, None):
        with pytest.raises(ValueError, match=str(*arguments.values())):
            load_model(checkpoint=checkpoint, **arguments)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), r"/config\.json: no such file\. " + EXPORT_AGAIN),
    "config": (
        lambda folder: (folder / "config.json").write_text("{"),
        r"/config\.json: not readable.*" + EXPORT_AGAIN,
    ),
    "no graphs": (
        lambda folder: [(folder / f"{name}.onnx").unlink() for name in ("decode", "encode_memory")],
        r": lacks decode\.onnx, encode_memory\.onnx\. " + EXPORT_AGAIN,
    ),
    "graph": (
        lambda folder: (folder / "refine.onnx").write_bytes(b"junk" * 99),
        r"/refine\.onnx: not a readable graph.*" + EXPORT_AGAIN,
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folders_name_file_and_remedy(exported: Path, tmp_path: Path, damage: str) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "graphs"))
    inflict, message = DAMAGES[damage]
    inflict(folder)
    with pytest.raises(CheckpointError, match=f"^{folder}{message}"):
        load_model(checkpoint=folder)


def test_threads_are_a_number_or_chosen_by_the_config(exported: Path) -> None:
    assert intra_op_threads(load_model(checkpoint=exported, threads=2)) == {2}
    chosen = load_model(checkpoint=exported, threads=lambda config: config.image_size // 64)
    assert intra_op_threads(chosen) == {3}


def test_missing_onnx_runtime_names_the_package(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CheckpointError, match=r"need ONNX Runtime\. onnxruntime is not installed: .* pip install"):
        load_model(checkpoint=exported)


def test_weights_cannot_be_read_from_graphs(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds ONNX graphs and no weights for PyTorch"):
        load_sam2(checkpoint=exported)
    network = load_model(checkpoint=exported)
    for save in (save_official, save_weights):
        with pytest.raises(CheckpointError, match="OnnxNetwork has no weights to save"):
            save(network, tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_weights_beside_unrelated_graphs_are_loaded(tmp_path: Path) -> None:
    save_weights(load_sam2(device="cpu"), tmp_path / "model.safetensors")
    (tmp_path / "model.onnx").touch()  # as in some repositories of Hugging Face
    assert load_model(checkpoint=tmp_path, device="cpu").config.name == "default"
