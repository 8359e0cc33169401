"""Released checkpoints are downloaded once, verified, and never half written."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from checkpoint_assertions import assert_same_weights

from sam2_ros.checkpoints import official
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_model
from sam2_ros.checkpoints.save import save_official
from sam2_ros.system import stopping


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


def test_downloaded_once_then_cached(release, model, tmp_path):
    assert_same_weights(load_model("default", device="cpu"), model)
    assert official.cached_checkpoint("default") == tmp_path / "cache" / "sam2_ros" / "default.pt"
    release.shutdown()
    release.server_close()
    assert_same_weights(load_model("default", device="cpu"), model)


def test_without_tqdm_it_is_downloaded_without_a_progress_bar(release, model, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert_same_weights(load_model("default", device="cpu"), model)
    assert "default.pt:" not in capfd.readouterr().err


def test_a_file_with_a_wrong_checksum_is_not_cached(release, monkeypatch):
    url, _ = official.OFFICIAL["default"]
    monkeypatch.setitem(official.OFFICIAL, "default", (url, "0" * 64))
    with pytest.raises(CheckpointError, match="did not arrive as it was released"):
        load_model("default")
    assert not official.cached_checkpoint("default").exists()


def test_failed_download_names_file_and_path(release):
    release.shutdown()
    release.server_close()
    with pytest.raises(CheckpointError) as error:
        load_model("default")
    url, _ = official.OFFICIAL["default"]
    assert url in str(error.value) and str(official.cached_checkpoint("default")) in str(error.value)


def test_a_damaged_cached_file_is_downloaded_again(release, model, caplog):
    load_model("default", device="cpu")
    cached = official.cached_checkpoint("default")
    whole = cached.read_bytes()
    for damaged in (whole[:1000], b"", whole[:-1] + b"x"):
        cached.write_bytes(damaged)
        assert_same_weights(load_model("default", device="cpu"), model)
        assert cached.read_bytes() == whole and "downloading it again" in caplog.text
    cached.write_bytes(whole[:1000])
    release.shutdown()
    release.server_close()
    with pytest.raises(CheckpointError, match="Cannot fetch"):
        load_model("default")


def test_failed_download_leaves_no_file(release, monkeypatch):
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


def test_partial_files_of_killed_processes_are_removed(release, monkeypatch):
    folder = official.cached_checkpoint("default").parent
    folder.mkdir(parents=True)
    for name, age in (("old", 100_000), ("new", 10)):
        part = folder / f"default.pt.{name}.part"
        part.touch()
        os.utime(part, (time.time() - age,) * 2)
    load_model("default", device="cpu")
    assert {file.name for file in folder.iterdir()} == {"default.pt", "default.pt.new.part"}


def test_missing_home_names_the_variable(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "somewhere")
    with pytest.raises(CheckpointError, match="Set HOME or XDG_CACHE_HOME"):
        load_model("sam2.1_hiera_tiny")
