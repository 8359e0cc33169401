"""Weights for still images have no memory: they segment pictures, and cannot track."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import DEFAULT_WEIGHTS, load_checkpoint, load_model
from sam2_ros.checkpoints.names import VIDEO_ONLY
from sam2_ros.checkpoints.save import save_official, save_weights
from sam2_ros.checkpoints.weights import read_weights
from sam2_ros.deployment import __main__ as deployment
from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.tracking.image_predictor import ImagePredictor
from sam2_ros.tracking.prompt import Click
from sam2_ros.tracking.tracker import Tracker
from sam2_ros.training.__main__ import arguments, recipe_of
from sam2_ros.training.initial import initial_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stills_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped weights, except those of the memory."""
    path = tmp_path_factory.mktemp("weights") / "stills.safetensors"
    save_file({key: value for key, value in load_file(DEFAULT_WEIGHTS).items() if not VIDEO_ONLY.match(key)}, path)
    return path


@pytest.fixture
def model(stills_only: Path) -> SAM2:
    with pytest.warns(UserWarning, match="nothing can be tracked"):
        return load_model(checkpoint=stills_only, device="cpu", image_size=64)


def test_tracker_refuses_weights_without_memory(model):
    for copied in (model, copy.deepcopy(model), model.to("cpu")):
        with pytest.raises(CheckpointError, match=r"still images.*memory's are missing.*nothing can be tracked"):
            Tracker(copied)


def test_image_predictor_accepts_weights_without_memory(model):
    predictor, whole = ImagePredictor(model), ImagePredictor(load_model(device="cpu", image_size=64))
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for each in (predictor, whole):
        each.set_image(image)
    found, expected = (each.predict((Click(30, 30),)).logits for each in (predictor, whole))
    torch.testing.assert_close(found, expected)


def test_weights_with_memory_complete_the_model(model):
    load_checkpoint(model, DEFAULT_WEIGHTS)
    Tracker(model)


def test_saved_weights_have_no_memory_either(model, stills_only, tmp_path):
    for save in (save_official, save_weights):
        save(model, tmp_path / "again")
        assert read_weights(tmp_path / "again").keys() == read_weights(stills_only).keys()


def test_partial_memory_fits_no_model(tmp_path):
    weights = load_file(DEFAULT_WEIGHTS)
    for part in ("memory_attention.", "memory_encoder.", "obj_ptr_proj.", "maskmem_tpos_enc"):
        left = {key: value for key, value in weights.items() if not key.startswith(part)}
        save_file(left, tmp_path / "holes.safetensors")
        with pytest.raises(CheckpointError, match=rf"looks like default with .* that differs?: {part}.* is missing"):
            load_model(checkpoint=tmp_path / "holes.safetensors", device="cpu")


def test_weights_without_memory_are_not_exported(stills_only, tmp_path, monkeypatch, capsys):
    words = [str(tmp_path / "graphs"), "--checkpoint", str(stills_only), "--size", "64"]
    monkeypatch.setattr("sys.argv", ["deployment", *words])
    with pytest.warns(UserWarning, match="a checkpoint for still images"):
        assert deployment.main() == 2
    assert "nothing can be tracked" in capsys.readouterr().err
    assert not (tmp_path / "graphs").exists()


def test_training_on_clips_adds_a_memory_and_training_on_stills_does_not(stills_only, tmp_path):
    for frames, trained in ((2, True), (1, False)):
        words = [str(tmp_path), "--init", str(stills_only), "--frames", str(frames), "--size", "64", "--steps", "1"]
        options = arguments().parse_args(words)
        with pytest.warns(UserWarning, match="a checkpoint for still images"):
            started = initial_model(options.model, options.init, recipe_of(options))
        save_weights(started, tmp_path / "trained.safetensors")
        assert any(VIDEO_ONLY.match(key) for key in read_weights(tmp_path / "trained.safetensors")) == trained


def test_image_weights_are_identified_as_the_newer_release(tmp_path):
    with torch.device("meta"):
        keys = SAM2(CONFIGS["sam2.1_hiera_tiny"]).state_dict()
    weights = {k: torch.zeros(1).expand(v.shape) for k, v in keys.items() if not VIDEO_ONLY.match(k)}
    torch.save(weights, tmp_path / "stills.pt")
    with pytest.warns(UserWarning, match="nothing can be tracked"):
        assert load_model(checkpoint=tmp_path / "stills.pt", device="cpu").config.name == "sam2.1_hiera_tiny"
