"""Weights are saved in Meta's format and in our own, completely or not at all."""

from __future__ import annotations

import pytest
import torch
from checkpoint_assertions import assert_same_weights

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_checkpoint, load_model
from sam2_ros.checkpoints.save import save_official, save_weights
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2


def test_official_format_round_trip(model, tmp_path):
    save_official(model, tmp_path / "out.pt")
    content = torch.load(tmp_path / "out.pt", weights_only=True)
    assert list(content) == ["model"] and content["model"].keys() == model.state_dict().keys()
    again = SAM2(CONFIGS["default"])
    load_checkpoint(again, tmp_path / "out.pt")
    assert_same_weights(again, model)


def test_own_format_is_half_precision_and_loads_into_float32(model, tmp_path):
    save_weights(model, tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").stat().st_size < 10e6
    again = SAM2(CONFIGS["default"])
    load_checkpoint(again, tmp_path / "out.safetensors")
    assert again.dtype == torch.float32
    assert_same_weights(again, model, tolerance=1e-3)


def test_saved_weights_are_readable_by_other_users(tmp_path):
    """A node may run as another user than training did."""
    save_weights(load_model(device="cpu"), tmp_path / "weights.safetensors")
    (tmp_path / "plain").touch()
    assert (tmp_path / "weights.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_overflow_of_half_precision_is_saved_as_float32_and_nan_is_refused(tmp_path):
    model = SAM2(CONFIGS["default"])
    with torch.no_grad():
        model.no_obj_ptr[0, 0] = 70_000.0
    save_weights(model, tmp_path / "large.safetensors")
    assert load_model(checkpoint=tmp_path / "large.safetensors", device="cpu").no_obj_ptr[0, 0] == 70_000
    with torch.no_grad():
        model.no_obj_ptr[0, 0] = float("nan")
    for save in (save_weights, save_official):
        with pytest.raises(CheckpointError, match="no_obj_ptr holds NaN or infinity"):
            save(model, tmp_path / "nan")
    assert not (tmp_path / "nan").exists()
