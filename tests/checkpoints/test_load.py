"""Weights come in from every format, go out again, and bad files are refused with one clear sentence."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import peer
import pytest
import torch
from safetensors.torch import save_file

from sam2_ros.checkpoints import load, official
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.identity import identify
from sam2_ros.checkpoints.load import load_checkpoint, load_model
from sam2_ros.checkpoints.names import from_hugging_face
from sam2_ros.checkpoints.save import save_official, save_weights
from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.system import stopping

TINY = CONFIGS["sam2.1_hiera_tiny"].at(128)


@pytest.fixture(scope="module")
def model() -> SAM2:
    torch.manual_seed(1)
    return SAM2(CONFIGS["default"])


def assert_same(a: SAM2, b: SAM2, tolerance: float = 0.0) -> None:
    weights = b.state_dict()
    assert a.state_dict().keys() == weights.keys()
    for key, value in a.state_dict().items():
        torch.testing.assert_close(value, weights[key], atol=tolerance, rtol=tolerance, msg=key)


def test_official_format_round_trip(model, tmp_path):
    save_official(model, tmp_path / "out.pt")
    content = torch.load(tmp_path / "out.pt", weights_only=True)
    assert list(content) == ["model"] and content["model"].keys() == model.state_dict().keys()
    again = SAM2(CONFIGS["default"])
    load_checkpoint(again, tmp_path / "out.pt")
    assert_same(again, model)


def test_own_format_is_half_precision_and_loads_into_float32(model, tmp_path):
    save_weights(model, tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").stat().st_size < 10e6
    again = SAM2(CONFIGS["default"])
    load_checkpoint(again, tmp_path / "out.safetensors")
    assert again.dtype == torch.float32
    assert_same(again, model, tolerance=1e-3)


def test_model_is_recognised_by_its_weights(model, tmp_path):
    save_weights(model, tmp_path / "unnamed.safetensors")
    again = load_model(checkpoint=tmp_path / "unnamed.safetensors", device="cpu")
    assert again.config.name == "default" and again.dtype == torch.float32 and not again.training


@pytest.mark.parametrize("as_folder", [True, False])
def test_hugging_face_video_checkpoint(tmp_path, as_folder):
    theirs = peer.video_model(TINY, seed=0)
    theirs.save_pretrained(tmp_path)
    again = SAM2(TINY)
    load_checkpoint(again, tmp_path if as_folder else tmp_path / "model.safetensors")
    assert_same(again, peer.ours(TINY, theirs))


def test_hugging_face_image_checkpoint_warns_that_it_cannot_track(tmp_path):
    theirs = peer.image_model(TINY, seed=0)
    theirs.save_pretrained(tmp_path)
    again = SAM2(TINY)
    memory = again.memory_encoder.out_proj.weight.clone()
    with pytest.warns(UserWarning, match="nothing can be tracked"):
        load_checkpoint(again, tmp_path)
    assert torch.equal(again.image_encoder.trunk.pos_embed, theirs.vision_encoder.backbone.pos_embed)
    assert torch.equal(again.memory_encoder.out_proj.weight, memory)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "default"])
def test_every_hugging_face_name_has_a_meta_name(name):
    with torch.device("meta"):
        theirs, ours = peer.build(CONFIGS[name]), SAM2(CONFIGS[name])
        weights = from_hugging_face(theirs.state_dict())
    assert {k: v.shape for k, v in weights.items()} == {k: v.shape for k, v in ours.state_dict().items()}
    assert identify(weights) == name


def refused(path, config=CONFIGS["default"]) -> str:
    network = SAM2(config)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(network, path)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    return message


def test_misfits_name_file_key_and_likely_origin(model, tmp_path):
    weights = model.state_dict()
    path = tmp_path / "bad.safetensors"

    save_file({key: value for key, value in weights.items() if key != "no_obj_ptr"}, path)
    assert "no_obj_ptr is missing" in refused(path)

    save_file({**weights, "extra.weight": torch.zeros(1)}, path)
    assert "extra.weight is unexpected" in refused(path)

    save_file({**weights, "no_obj_ptr": torch.zeros(1, 7)}, path)
    assert "no_obj_ptr has shape (1, 7) instead of (1, 128)" in refused(path)

    save_file(weights, path)
    assert "This file looks like default." in refused(path, TINY)


def test_unreadable_files(tmp_path):
    assert "no such file" in refused(tmp_path / "nothing.pt")
    (tmp_path / "folder").mkdir()
    assert "model.safetensors" in refused(tmp_path / "folder")
    for name in ("junk.pt", "junk.safetensors", "empty.pt", "empty.safetensors"):
        (tmp_path / name).write_bytes(b"junk" * 100 if "junk" in name else b"")
        assert "not a readable checkpoint" in refused(tmp_path / name)
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "pickle.pt")  # a class: must not be unpickled
    assert "not a readable checkpoint" in refused(tmp_path / "pickle.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    assert "holds no weights" in refused(tmp_path / "list.pt")
    save_official(SAM2(CONFIGS["default"]), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:100_000])
    assert "not a readable checkpoint" in refused(tmp_path / "cut.pt")


def test_unknown_name():
    with pytest.raises(CheckpointError, match=r"no model named 'sam3'.*sam2\.1_hiera_tiny"):
        load_model("sam3")


@pytest.fixture
def release(model, tmp_path, monkeypatch):
    """A web server that offers a checkpoint under an official name, and an empty cache."""
    web = tmp_path / "web"
    web.mkdir()
    save_official(model, web / "small.pt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=web))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/small.pt"
    sha256 = hashlib.sha256((web / "small.pt").read_bytes()).hexdigest()
    monkeypatch.setitem(official.OFFICIAL, "default", (url, sha256))
    yield server
    server.shutdown()
    server.server_close()


def test_fetched_once_then_from_the_cache(release, model, tmp_path):
    assert_same(load_model("default", device="cpu"), model)
    assert official.cached_checkpoint("default") == tmp_path / "cache" / "sam2_ros" / "default.pt"
    release.shutdown()
    release.server_close()
    assert_same(load_model("default", device="cpu"), model)


def test_wrong_checksum_is_not_kept(release, monkeypatch):
    url, _ = official.OFFICIAL["default"]
    monkeypatch.setitem(official.OFFICIAL, "default", (url, "0" * 64))
    with pytest.raises(CheckpointError, match="did not arrive as it was released"):
        load_model("default")
    assert not official.cached_checkpoint("default").exists()


def test_no_network_says_which_file_to_put_where(release):
    release.shutdown()
    release.server_close()
    with pytest.raises(CheckpointError) as error:
        load_model("default")
    url, _ = official.OFFICIAL["default"]
    assert url in str(error.value) and str(official.cached_checkpoint("default")) in str(error.value)


def test_a_damaged_file_in_the_cache_is_fetched_again(release, model, caplog):
    load_model("default", device="cpu")
    cached = official.cached_checkpoint("default")
    whole = cached.read_bytes()
    for damaged in (whole[:1000], b"", whole[:-1] + b"x"):
        cached.write_bytes(damaged)
        assert_same(load_model("default", device="cpu"), model)
        assert cached.read_bytes() == whole and "downloading it again" in caplog.text
    cached.write_bytes(whole[:1000])
    release.shutdown()
    release.server_close()
    with pytest.raises(CheckpointError, match="Cannot fetch"):
        load_model("default")


def test_a_download_that_fails_leaves_nothing(release, monkeypatch):
    folder = official.cached_checkpoint("default").parent
    url, sha256 = official.OFFICIAL["default"]
    monkeypatch.setitem(official.OFFICIAL, "default", (url, "0" * 64))
    with pytest.raises(CheckpointError, match="did not arrive as it was released"):
        load_model("default")
    monkeypatch.setitem(official.OFFICIAL, "default", (url, sha256))
    monkeypatch.setattr("os.fsync", lambda _: exec("raise OSError(28, 'No space left on device')"))
    with pytest.raises(CheckpointError, match=r"Cannot fetch .*No space left on device"):
        load_model("default")
    monkeypatch.setattr(stopping, "_stopping", threading.Event())
    stopping.stop()
    with pytest.raises(stopping.Stopped, match="the process is ending"):
        load_model("default")
    assert not list(folder.iterdir())


def test_parts_of_processes_that_were_killed_are_removed(release, monkeypatch):
    folder = official.cached_checkpoint("default").parent
    folder.mkdir(parents=True)
    for name, age in (("old", 100_000), ("new", 10)):
        part = folder / f"default.pt.{name}.part"
        part.touch()
        os.utime(part, (time.time() - age,) * 2)
    load_model("default", device="cpu")
    assert {file.name for file in folder.iterdir()} == {"default.pt", "default.pt.new.part"}


def test_without_a_home_it_says_what_to_set(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "somewhere")
    with pytest.raises(CheckpointError, match="Set HOME or XDG_CACHE_HOME"):
        load_model("sam2.1_hiera_tiny")


def test_missing_default_weights_say_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "DEFAULT_WEIGHTS", tmp_path / "default.safetensors")
    with pytest.raises(CheckpointError, match=r"default\.safetensors, but there is no such file"):
        load_model()


def test_others_may_read_the_weights(tmp_path):
    """A node may run as somebody else than the training did."""
    save_weights(load_model(device="cpu"), tmp_path / "weights.safetensors")
    (tmp_path / "plain").touch()
    assert (tmp_path / "weights.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_weights_fit_other_sizes():
    default, larger = load_model(device="cpu"), load_model(device="cpu", image_size=384)
    assert larger.config == default.config.at(384) != default.config
    assert_same(larger, default)
    assert larger.encode_image(torch.zeros(1, 3, 384, 320)).stride16.shape[2:] == (24, 20)
    with pytest.raises(ValueError, match="multiple of 32"):
        load_model(device="cpu", image_size=300)
    with pytest.raises(ValueError, match="aspect '16:0': expected one like 16:9 or 1280x720, or 'image'"):
        load_model(device="cpu", aspect="16:0")
