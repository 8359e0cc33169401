"""Weights load from Meta's, Hugging Face's and our own files, and misfits leave a network unchanged."""

from __future__ import annotations

import peer
import pytest
import torch
from checkpoint_assertions import assert_loads, assert_same_weights, refused
from safetensors.torch import save_file

from sam2_ros.checkpoints import load
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_checkpoint, load_model
from sam2_ros.checkpoints.save import save_official
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2

TINY = CONFIGS["sam2.1_hiera_tiny"].at(128)


@pytest.mark.parametrize("as_folder", [True, False])
def test_hugging_face_video_checkpoint(tmp_path, as_folder):
    theirs = peer.video_model(TINY, seed=0)
    theirs.save_pretrained(tmp_path)
    again = SAM2(TINY)
    load_checkpoint(again, tmp_path if as_folder else tmp_path / "model.safetensors")
    assert_same_weights(again, peer.ours(TINY, theirs))


def test_hugging_face_image_checkpoint_warns_that_it_cannot_track(tmp_path):
    theirs = peer.image_model(TINY, seed=0)
    theirs.save_pretrained(tmp_path)
    again = SAM2(TINY)
    memory = again.memory_encoder.out_proj.weight.clone()
    with pytest.warns(UserWarning, match="nothing can be tracked"):
        load_checkpoint(again, tmp_path)
    assert torch.equal(again.image_encoder.trunk.pos_embed, theirs.vision_encoder.backbone.pos_embed)
    assert torch.equal(again.memory_encoder.out_proj.weight, memory)


def refused_by_network(path, config=CONFIGS["default"]) -> str:
    network = SAM2(config)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(network, path)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    return message


def test_mismatches_name_file_key_and_likely_origin(model, tmp_path):
    weights = model.state_dict()
    path = tmp_path / "bad.safetensors"

    save_file({key: value for key, value in weights.items() if key != "no_obj_ptr"}, path)
    assert "no_obj_ptr is missing" in refused_by_network(path)

    save_file({**weights, "extra.weight": torch.zeros(1)}, path)
    assert "extra.weight is unexpected" in refused_by_network(path)

    save_file({**weights, "no_obj_ptr": torch.zeros(1, 7)}, path)
    assert "no_obj_ptr has shape (1, 7) instead of (1, 128)" in refused_by_network(path)

    save_file(weights, path)
    assert "This file looks like default." in refused_by_network(path, TINY)


def test_unreadable_files(tmp_path):
    assert "no such file" in refused_by_network(tmp_path / "nothing.pt")
    (tmp_path / "folder").mkdir()
    assert "model.safetensors" in refused_by_network(tmp_path / "folder")
    for name in ("junk.pt", "junk.safetensors", "empty.pt", "empty.safetensors"):
        (tmp_path / name).write_bytes(b"junk" * 100 if "junk" in name else b"")
        assert "not a readable checkpoint" in refused_by_network(tmp_path / name)
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "pickle.pt")  # a class: must not be unpickled
    assert "not a readable checkpoint" in refused_by_network(tmp_path / "pickle.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    assert "holds no weights" in refused_by_network(tmp_path / "list.pt")
    save_official(SAM2(CONFIGS["default"]), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:100_000])
    assert "not a readable checkpoint" in refused_by_network(tmp_path / "cut.pt")


def test_missing_default_weights_name_their_path(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "DEFAULT_WEIGHTS", tmp_path / "default.safetensors")
    with pytest.raises(CheckpointError, match=r"default\.safetensors, but there is no such file"):
        load_model()


def test_weights_fit_other_sizes():
    default, larger = load_model(device="cpu"), load_model(device="cpu", image_size=384)
    assert larger.config == default.config.at(384) != default.config
    assert_same_weights(larger, default)
    assert larger.encode_image(torch.zeros(1, 3, 384, 320)).stride16.shape[2:] == (24, 20)
    with pytest.raises(ValueError, match="multiple of 32"):
        load_model(device="cpu", image_size=300)
    with pytest.raises(ValueError, match=r"expected an aspect like 16:9 or 1280x720, .* not '16:0'"):
        load_model(device="cpu", aspect="16:0")


@pytest.mark.parametrize(
    ("key", "value", "dtype"),
    [
        ("no_obj_ptr", float("nan"), torch.float32),
        ("memory_encoder.fuser.layers.0.gamma", float("inf"), torch.float16),
        ("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", float("-inf"), torch.bfloat16),  # a buffer
        ("no_mem_embed", 1e300, torch.float64),  # more than float32 can hold
    ],
)
def test_nan_and_infinity_are_refused_by_name(key, value, dtype, weights, tmp_path):
    damaged = weights[key].to(dtype, copy=True)
    damaged.view(-1)[-1] = value
    save_file({**weights, key: damaged}, tmp_path / "damaged.safetensors")
    assert f"{key} holds NaN or infinity" in refused(tmp_path / "damaged.safetensors")


def test_weights_of_other_types_are_refused(weights, tmp_path):
    for value in (torch.zeros(1, 128, dtype=torch.int8), torch.zeros(1, 128, dtype=torch.complex64)):
        torch.save({**weights, "no_obj_ptr": value}, tmp_path / "odd.pt")
        assert "no_obj_ptr is " in refused(tmp_path / "odd.pt")
    torch.save({**weights, "no_obj_ptr": torch.zeros(1, 128).to_sparse()}, tmp_path / "sparse.pt")
    assert "no_obj_ptr" in refused(tmp_path / "sparse.pt")


def test_double_precision_loads(weights, tmp_path):
    torch.save({key: value.double() for key, value in weights.items()}, tmp_path / "double.pt")
    assert_loads(tmp_path / "double.pt", weights)
