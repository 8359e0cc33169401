"""Weights load from every file that people make of them; hostile ones are refused before they cost memory."""

from __future__ import annotations

import argparse
import gzip
import json
import pickle
import re
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import peer
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.files import MAX_INDEX
from sam2_ros.checkpoints.load import load_model, load_sam2
from sam2_ros.checkpoints.save import save_official, save_weights
from sam2_ros.checkpoints.weights import read_weights
from sam2_ros.model import CONFIGS, SAM2

Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Of the default network, random."""
    torch.manual_seed(1)
    return {key: value.detach() for key, value in SAM2(CONFIGS["default"]).state_dict().items()}


def assert_loads(path: Path, weights: Weights) -> None:
    model = load_model(checkpoint=path, device="cpu")
    assert model.config.name == "default" and not model.missing_weights
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key]), key


def refused(path: str | Path, **options: str) -> str:
    with pytest.raises(CheckpointError) as error:
        load_model(checkpoint=path, device="cpu", **options)
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    return message


def prefixed(prefix: str, weights: Weights) -> Weights:
    return {prefix + key: value for key, value in weights.items()}


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
def test_what_trainers_save_loads(kind, weights, tmp_path):
    torch.save(CHECKPOINTS[kind](weights), tmp_path / "weights.pt")
    assert_loads(tmp_path / "weights.pt", weights)


def test_a_moving_average_is_taken_before_what_it_averages(weights, tmp_path, caplog):
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


def test_content_counts_and_not_the_suffix(weights, tmp_path):
    save_file(weights, tmp_path / "safetensors.pt", metadata={"format": "pt"})
    torch.save(weights, tmp_path / "torch.safetensors")
    torch.save(weights, tmp_path / "model.torch", _use_new_zipfile_serialization=False)  # before PyTorch 1.6
    for file in ("safetensors.pt", "torch.safetensors", "model.torch"):
        assert_loads(tmp_path / file, weights)


def test_folders_of_hugging_face(tmp_path):
    tiny = CONFIGS["sam2.1_hiera_tiny"].at(128)
    theirs = peer.video_model(tiny, seed=0)
    expected = peer.ours(tiny, theirs).state_dict()
    theirs.save_pretrained(tmp_path / "sharded", max_shard_size="40MB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    (tmp_path / "bin").mkdir()
    torch.save(theirs.state_dict(), tmp_path / "bin" / "pytorch_model.bin")
    for folder in ("sharded", "bin"):
        found = read_weights(tmp_path / folder)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in found)


def test_sharded_folders(weights, tmp_path):
    keys = list(weights)
    shards = {"pytorch_model-00001.bin": keys[:99], "pytorch_model-00002.bin": keys[99:]}
    for shard, names in shards.items():
        torch.save({key: weights[key] for key in names}, tmp_path / shard)
    index = tmp_path / "pytorch_model.bin.index.json"
    places = {key: shard for shard, names in shards.items() for key in names}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert_loads(tmp_path, weights)
    assert_loads(index, weights)

    index.write_text(json.dumps({"weight_map": places | {"extra": "pytorch_model-00002.bin"}}))
    assert "pytorch_model-00002.bin: lacks extra, which" in refused(tmp_path)
    (tmp_path / "pytorch_model-00002.bin").unlink()
    assert "pytorch_model-00002.bin: no such file, but" in refused(tmp_path)
    for broken in ("[", "[]", '{"weight_map": 1}', '{"weight_map": {"a": "../a.bin"}}', "[" * 100_000, "1" * 9999):
        index.write_text(broken)
        assert "not a readable index of weights" in refused(tmp_path)


def test_folders_with_one_file_of_weights(weights, tmp_path):
    assert "it holds no files" in refused(tmp_path)
    (tmp_path / "readme.md").touch()
    assert "it holds readme.md" in refused(tmp_path)
    save_file(weights, tmp_path / "a.safetensors")
    assert_loads(tmp_path, weights)
    save_file(weights, tmp_path / "b.pt")
    assert "2 files of weights (a.safetensors, b.pt). Give one of them." in refused(tmp_path)
    snapshot = tmp_path / "models--facebook--sam2" / "snapshots" / "0123"  # a cache of Hugging Face's
    snapshot.mkdir(parents=True)
    save_file(weights, snapshot / "model.safetensors")
    assert_loads(snapshot.parents[1], weights)
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "decode.onnx").touch()
    with pytest.raises(CheckpointError, match=r"graphs: holds ONNX graphs and no weights"):
        load_sam2(checkpoint=tmp_path / "graphs", device="cpu")


def test_what_is_not_weights_is_called_by_its_name(weights, tmp_path):
    def wrote(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 156\n"
    assert "git lfs pull" in refused(wrote("lfs.pt", pointer))
    assert "a web page" in refused(wrote("page.pt", b"<!DOCTYPE html><html>"))
    assert "gzip" in refused(wrote("gz.pt", gzip.compress(b"x" * 100)))
    assert "an ONNX graph" in refused(wrote("graph.onnx", b"\x08\x08\x12\x07pytorch" * 9))
    assert "a pickle that torch.save has not made" in refused(wrote("raw.pt", pickle.dumps({"a": [1.0] * 30})))
    with zipfile.ZipFile(tmp_path / "weights.zip", "w") as archive:
        archive.writestr("weights.pt", b"x")
    assert "a zip archive that torch.save has not made, with weights.pt" in refused(tmp_path / "weights.zip")
    program = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(program, tmp_path / "program.pt")
    assert "a TorchScript program" in refused(tmp_path / "program.pt")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    assert "holds no weights but a tensor (3,)" in refused(tmp_path / "tensor.pt")
    torch.save({"epoch": 3}, tmp_path / "nothing.pt")
    assert "holds no weights" in refused(tmp_path / "nothing.pt")


class Unpickled:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_pickled_models_are_refused_and_never_run(tmp_path):
    for name, content in {"whole": SAM2(CONFIGS["default"]), "inside": {"model": SAM2(CONFIGS["default"])}}.items():
        torch.save(content, tmp_path / f"{name}.pt")
        message = refused(tmp_path / f"{name}.pt")
        assert "a whole pickled model (sam2_ros.model.sam2.SAM2)" in message and "model.state_dict()" in message
    torch.save({"model": {"a": torch.zeros(1)}, "evil": Unpickled(tmp_path / "trace")}, tmp_path / "evil.pt")
    refused(tmp_path / "evil.pt")
    assert not (tmp_path / "trace").exists()


def test_misfits_name_the_nearest_model_and_the_first_keys(tmp_path):
    with torch.device("meta"):
        small = SAM2(CONFIGS["sam2.1_hiera_small"]).state_dict()
    weights = {key: torch.zeros(1).expand(value.shape) for key, value in small.items()}
    weights["no_obj_ptr"] = torch.zeros(1, 7)
    weights["extra"] = weights.pop("no_mem_embed")
    torch.save({"model": weights}, tmp_path / "odd.pt")
    for message in (refused(tmp_path / "odd.pt"), refused(tmp_path / "odd.pt", name="default")):
        assert "looks like sam2.1_hiera_small with 3 keys that differ: " in message
        assert "no_obj_ptr has shape (1, 7) instead of (1, 256)" in message
        assert "no_mem_embed is missing" in message and "extra is unexpected" in message
    message = refused(tmp_path / "odd.pt", name="sam2.1_hiera_small")
    assert "does not fit the model 'sam2.1_hiera_small': " in message and "extra is unexpected" in message

    torch.save({f"blocks.{i}.weight": torch.zeros(2) for i in range(9)}, tmp_path / "other.pt")
    assert "those of another network: blocks.0.weight, blocks.1.weight" in refused(tmp_path / "other.pt")
    decoder = {key: value for key, value in weights.items() if key.startswith("sam_mask_decoder.")}
    torch.save(decoder, tmp_path / "part.pt")
    assert re.search(r"a part of a model, \d+ of \d+ weights of sam2", refused(tmp_path / "part.pt"))
    adapters = {"base_model.model.image_encoder.trunk.blocks.0.attn.qkv.lora_A.weight": torch.zeros(2, 2)}
    torch.save(adapters, tmp_path / "lora.pt")
    assert "LoRA adapters: merge them" in refused(tmp_path / "lora.pt")


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
    spoilt = weights[key].to(dtype, copy=True)
    spoilt.view(-1)[-1] = value
    save_file({**weights, key: spoilt}, tmp_path / "spoilt.safetensors")
    assert f"{key} holds NaN or infinity" in refused(tmp_path / "spoilt.safetensors")


def test_weights_that_are_no_floating_point_numbers_are_refused(weights, tmp_path):
    for value in (torch.zeros(1, 128, dtype=torch.int8), torch.zeros(1, 128, dtype=torch.complex64)):
        torch.save({**weights, "no_obj_ptr": value}, tmp_path / "odd.pt")
        assert "no_obj_ptr is " in refused(tmp_path / "odd.pt")
    torch.save({**weights, "no_obj_ptr": torch.zeros(1, 128).to_sparse()}, tmp_path / "sparse.pt")
    assert "no_obj_ptr" in refused(tmp_path / "sparse.pt")


def test_double_precision_loads(weights, tmp_path):
    torch.save({key: value.double() for key, value in weights.items()}, tmp_path / "double.pt")
    assert_loads(tmp_path / "double.pt", weights)


def test_what_half_precision_cannot_hold_is_saved_whole_and_nan_not_at_all(tmp_path):
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


def zip_bomb(path: Path, entry: str, size: int) -> None:
    """A checkpoint whose tensors, or what is beside them, are zeros that unpack to a given size."""
    torch.save({"model": {"no_mem_embed": torch.zeros(4)}}, path.with_suffix(".plain"))
    with zipfile.ZipFile(path.with_suffix(".plain")) as plain, zipfile.ZipFile(path, "w") as bomb:
        for name in plain.namelist():
            if not name.endswith(entry):
                bomb.writestr(name, plain.read(name))
        with bomb.open(zipfile.ZipInfo("archive/" + entry), "w") as file:
            file._compressor = zipfile.zlib.compressobj(9, zipfile.zlib.DEFLATED, -15)
            file._zinfo.compress_type = zipfile.ZIP_DEFLATED
            for _ in range(size >> 20):
                file.write(bytes(1 << 20))


@pytest.mark.parametrize("entry", ["data/0", "data.pkl"])
def test_a_zip_bomb_is_refused_before_it_is_unpacked(entry, tmp_path):
    bomb = tmp_path / "bomb.pt"
    zip_bomb(bomb, entry, 400 << 20)
    assert bomb.stat().st_size < 1 << 20
    code = """
import resource, sys
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.weights import read_weights
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_weights(sys.argv[1])
except CheckpointError as error:
    print(error)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "more than 50 MB"
"""
    said = subprocess.run([sys.executable, "-c", code, bomb], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "would unpack to" in said.stdout


def test_indices_that_are_too_large_are_refused_unread(tmp_path):
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(bomb, "w") as archive:  # stored: as large as it says
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"}" * MAX_INDEX)
    assert "beside its tensors there are" in refused(bomb)
    with zipfile.ZipFile(bomb, "w") as archive:
        for number in range(MAX_INDEX // 1000 + 1):
            archive.writestr(f"archive/{number}" + "x" * 1000, b"")
    assert "its directory has" in refused(bomb)

    legacy = tmp_path / "legacy.pt"
    torch.save({"a": 1}, legacy, _use_new_zipfile_serialization=False)
    start = legacy.read_bytes()[:15]  # the first of its pickles
    legacy.write_bytes(start + b"\x80\x02" + b"}" * (MAX_INDEX + 1))
    assert "its pickles are damaged or have more than" in refused(legacy)

    header = tmp_path / "header.safetensors"
    for length in (1 << 60, MAX_INDEX + 1, 200):
        header.write_bytes(struct.pack("<Q", length) + b'{"a":' + b" " * 100)
        assert "its header has" in refused(header)
    header.write_bytes(struct.pack("<Q", MAX_INDEX + 1) + b"{" + b" " * (MAX_INDEX + 8))
    assert "its header has" in refused(header)


def test_cut_files_are_refused(weights, tmp_path):
    torch.save(weights, tmp_path / "whole.pt")
    save_file(weights, tmp_path / "whole.safetensors")
    torch.save(weights, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    for file in ("whole.pt", "whole.safetensors", "legacy.pt"):
        content = (tmp_path / file).read_bytes()
        for kept in (1, 9, 40, 1000, len(content) // 2, len(content) - 1):
            (tmp_path / f"cut-{file}").write_bytes(content[:kept])
            assert "not a readable checkpoint" in refused(tmp_path / f"cut-{file}"), kept


def test_names_and_files_that_were_mistaken_for_each_other(tmp_path):
    def said(name: str | None = None, checkpoint: str | None = None) -> str:
        with pytest.raises(CheckpointError) as error:
            load_model(name, checkpoint)
        return str(error.value)

    assert "no model named '/runs/best.pt'. Did you mean checkpoint='/runs/best.pt'?" in said("/runs/best.pt")
    assert "Did you mean checkpoint=" in said(str(tmp_path))
    assert "Did you mean 'sam2_hiera_tiny'?" in said("sam2_tiny")
    assert "Did you mean 'sam2.1_hiera_tiny'?" in said("facebook/sam2.1-hiera-tiny")
    for given in ("sam2.1_hiera_base_plus", "facebook/sam2.1-hiera-base-plus"):
        assert "Did you mean the model's name, 'sam2.1_hiera_base_plus'?" in said(checkpoint=given)
    assert "no such file. Download it first" in said(checkpoint="https://example.com/a.pt")
