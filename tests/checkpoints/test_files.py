"""Every format of weights is read; hostile files are refused before they cost memory."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import peer
import pytest
import torch
from checkpoint_assertions import assert_loads, refused
from safetensors.torch import save_file

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.files import MAX_INDEX
from sam2_ros.checkpoints.load import load_sam2
from sam2_ros.checkpoints.weights import read_weights
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2


def test_format_is_recognised_by_content_not_by_suffix(weights, tmp_path):
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
        loaded = read_weights(tmp_path / folder)
        assert loaded.keys() == expected.keys()
        assert all(torch.equal(loaded[key], expected[key]) for key in loaded)


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


def test_files_that_are_not_weights_are_named(weights, tmp_path):
    def written(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 156\n"
    assert "git lfs pull" in refused(written("lfs.pt", pointer))
    assert "a web page" in refused(written("page.pt", b"<!DOCTYPE html><html>"))
    assert "gzip" in refused(written("gz.pt", gzip.compress(b"x" * 100)))
    assert "an ONNX graph" in refused(written("graph.onnx", b"\x08\x08\x12\x07pytorch" * 9))
    assert "a pickle that torch.save has not made" in refused(written("raw.pt", pickle.dumps({"a": [1.0] * 30})))
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
    """Leaves a trace when it is unpickled."""

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


def zip_bomb(path: Path, entry: str, size: int) -> None:
    """A checkpoint whose tensors, or the entry beside them, are zeros that unpack to a given size."""
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


@pytest.mark.slow
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
    process = subprocess.run([sys.executable, "-c", code, bomb], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "would unpack to" in process.stdout


def test_oversized_indices_are_refused_unread(tmp_path):
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


def test_truncated_files_are_refused(weights, tmp_path):
    torch.save(weights, tmp_path / "whole.pt")
    save_file(weights, tmp_path / "whole.safetensors")
    torch.save(weights, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    for file in ("whole.pt", "whole.safetensors", "legacy.pt"):
        content = (tmp_path / file).read_bytes()
        for size in (1, 9, 40, 1000, len(content) // 2, len(content) - 1):
            (tmp_path / f"cut-{file}").write_bytes(content[:size])
            assert "not a readable checkpoint" in refused(tmp_path / f"cut-{file}"), size
