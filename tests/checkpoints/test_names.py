"""Names of Hugging Face, wrappers and trainers are translated to Meta's."""

from __future__ import annotations

import argparse
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import peer
import pytest
import torch
from checkpoint_assertions import assert_loads, prefixed

from sam2_ros.checkpoints.identity import identify
from sam2_ros.checkpoints.names import from_hugging_face
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "default"])
def test_every_hugging_face_name_has_a_meta_name(name):
    with torch.device("meta"):
        theirs, ours = peer.build(CONFIGS[name]), SAM2(CONFIGS[name])
        weights = from_hugging_face(theirs.state_dict())
    assert {k: v.shape for k, v in weights.items()} == {k: v.shape for k, v in ours.state_dict().items()}
    assert identify(weights) == name


CHECKPOINTS = {
    "plain state dict": lambda w: OrderedDict(w),
    "parameters": lambda w: {key: torch.nn.Parameter(value) for key, value in w.items()},
    "state_dict": lambda w: {"state_dict": w, "epoch": 3},
    "model_state_dict": lambda w: {"model_state_dict": w, "optimizer_state_dict": {"state": {}, "param_groups": []}},
    "nested": lambda w: {"checkpoint": {"model": w}},
    "Meta's trainer": lambda w: {
        "model": w,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-5, "params": [0]}]},
        "epoch": 7,
        "loss": {"val": {}},
        "steps": {"train": 10, "val": 0},
        "time_elapsed": 12.5,
        "best_meter_values": {},
    },
    "Lightning": lambda w: {
        "state_dict": prefixed("model.", w) | {"criterion.weight": torch.ones(2)},
        "hyper_parameters": argparse.Namespace(lr=1e-4, data=Path("clips")),
        "pytorch-lightning_version": "2.4",
    },
    "DataParallel": lambda w: prefixed("module.", w),
    "torch.compile": lambda w: prefixed("_orig_mod.", w),
    "all wrappers": lambda w: {"model": prefixed("module._orig_mod.", w)},
    "a compiled part": lambda w: {key.replace("memory_encoder.", "memory_encoder._orig_mod."): w[key] for key in w},
    "AveragedModel": lambda w: {"n_averaged": torch.tensor(9)} | prefixed("module.", w),
    "within a larger model": lambda w: prefixed("model.visual_model.", w) | {"model.tokens.weight": torch.ones(3)},
    "foreign objects": lambda w: {"model": w, "best": np.float64(0.9), "meters": defaultdict(list, a=[1])},
    "fuser's gamma as weight": lambda w: {
        key.replace(".gamma", ".weight") if "fuser" in key else key: value for key, value in w.items()
    },
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_trainer_checkpoints_load(kind, weights, tmp_path):
    torch.save(CHECKPOINTS[kind](weights), tmp_path / "weights.pt")
    assert_loads(tmp_path / "weights.pt", weights)


def test_a_moving_average_is_preferred_to_the_raw_weights(weights, tmp_path, caplog):
    raw = {key: value + 1 for key, value in weights.items()}
    for name, content in {
        "timm": {"state_dict": raw, "state_dict_ema": weights},
        "ours": {"learner": prefixed("model.", raw), "average": weights, "optimizers": [], "step": 3},
        "flat": {**prefixed("online_model.", raw), **prefixed("ema_model.", weights)},
    }.items():
        torch.save(content, tmp_path / f"{name}.pt")
        assert_loads(tmp_path / f"{name}.pt", weights)
        assert "holds several sets of weights" in caplog.text
        caplog.clear()
