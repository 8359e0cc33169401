"""Compiled kernels are loaded only from a cache that no other user can write to; their compilers can be cancelled."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sam2_ros.acceleration.cpu.kernels import library as kernel_library
from sam2_ros.acceleration.cpu.kernels.library import load
from sam2_ros.system import stopping
from sam2_ros.system.cache import private_folder

TIMEOUT = 60.0  # s; the compilers of these tests take ten times as long
NOBODY = 65534

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.slow,
]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of files")


def compiled(library: Path, trace: Path) -> Path:
    """A library that leaves a trace as soon as it is loaded."""
    code = f'#include <fcntl.h>\n__attribute__((constructor)) static void run() {{ creat("{trace}", 0600); }}\n'
    command = ["gcc", "-shared", "-fPIC", "-xc", "-", "-o", library]
    subprocess.run(list(map(str, command)), input=code, text=True, check=True)
    return library


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of kernels, empty. Compiled libraries leave the trace "built"."""
    library = compiled(tmp_path / "library", tmp_path / "built")
    compiler = tmp_path / "g++"
    compiler.write_text(f'#!/bin/sh\necho >> {tmp_path}/calls\nfor to; do :; done\nexec cp {library} "$to"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sam2_ros" / "kernels"


def load_kernels(tmp_path: Path) -> tuple[bool, bool]:
    """Load kernels in a new process. Returns whether they were built, and whether a planted library ran."""
    for file in ("built", "planted", "calls"):
        (tmp_path / file).unlink(missing_ok=True)
    if not (child := os.fork()):  # nothing to import, and no kernels loaded
        try:
            load("AVX2", tiles=False)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "the process has died"
    assert (tmp_path / "built").exists() or (tmp_path / "planted").exists()
    return (tmp_path / "calls").exists(), (tmp_path / "planted").exists()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_cache_is_writable_by_its_owner_only(folder, tmp_path, umask):
    before = os.umask(umask)
    try:
        assert load_kernels(tmp_path) == (True, False)
        assert load_kernels(tmp_path) == (False, False)
    finally:
        os.umask(before)
    (cached,) = folder.iterdir()
    assert mode(folder) == 0o700 and mode(cached) == 0o600


def plant(folder: Path, tmp_path: Path) -> Path:
    """Replace the cached library by another one with a valid checksum."""
    assert load_kernels(tmp_path) == (True, False)
    (cached,) = folder.iterdir()
    other = compiled(tmp_path / "other", tmp_path / "planted")
    kernel_library._store(other, cached)
    assert load_kernels(tmp_path) == (False, True)  # it would run
    return cached


def test_planted_library_is_not_loaded(folder, tmp_path):
    plant(folder, tmp_path)
    folder.chmod(0o777)
    assert load_kernels(tmp_path) == (True, False)
    assert mode(folder) == 0o700
    assert load_kernels(tmp_path) == (False, False)


def test_library_writable_by_others_is_not_loaded(folder, tmp_path):
    plant(folder, tmp_path).chmod(0o666)
    assert load_kernels(tmp_path) == (True, False)
    assert load_kernels(tmp_path) == (False, False)


@pytest.mark.parametrize("level", [0, 1])
def test_cache_below_a_folder_writable_by_others_is_not_used(folder, tmp_path, level, monkeypatch, caplog):
    plant(folder, tmp_path)
    open_to_all = folder.parents[level]
    open_to_all.chmod(0o777)
    for _ in range(2):
        assert load_kernels(tmp_path) == (True, False)
    load("AVX2", tiles=False)
    assert f"compiled at every start, since they cannot be cached: others may write to {open_to_all}" in caplog.text
    open_to_all.chmod(0o1777)  # sticky, as /tmp is
    assert load_kernels(tmp_path) == (False, True)


@AS_ROOT
def test_library_of_another_user_is_not_loaded(folder, tmp_path):
    cached = plant(folder, tmp_path)
    os.chown(cached, NOBODY, NOBODY)
    assert load_kernels(tmp_path) == (True, False)  # and it is ours again
    cached = plant(folder.rename(folder.with_name("moved")) and folder, tmp_path)
    for owned in (folder, folder.parent, folder.parents[1]):  # the last as with sudo, when HOME stays the user's
        os.chown(owned, NOBODY, NOBODY)
        assert load_kernels(tmp_path) == (True, False)
        os.chown(owned, 0, 0)


def test_symlinks_are_not_followed(folder, tmp_path):
    cached = plant(folder, tmp_path)
    cached.rename(tmp_path / "elsewhere")
    cached.symlink_to(tmp_path / "elsewhere")
    assert load_kernels(tmp_path) == (True, False)
    shutil.rmtree(folder)
    plant(folder, tmp_path)
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert load_kernels(tmp_path) == (True, False)


def test_damaged_library_is_rebuilt_without_crashing(folder, tmp_path):
    assert load_kernels(tmp_path) == (True, False)
    (cached,) = folder.iterdir()
    whole = cached.read_bytes()
    for damaged in (b"", whole[:10], whole[:4096], whole[:-1], whole[:900] + bytes([whole[900] ^ 1]) + whole[901:]):
        cached.write_bytes(damaged)
        assert load_kernels(tmp_path) == (True, False)
        assert cached.read_bytes() == whole and load_kernels(tmp_path) == (False, False)


def test_temporary_folder_writable_by_others_is_not_used(folder, tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(shared))
    monkeypatch.setattr("tempfile.tempdir", None)
    with kernel_library._build_folder(private_folder("kernels")) as scratch:
        assert Path(scratch).parent == folder
    with pytest.raises(PermissionError, match="others may write to"):
        kernel_library._build_folder(None)
    assert load_kernels(tmp_path) == (True, False)
    assert len(list(folder.iterdir())) == 1 and not list(shared.iterdir())


def test_full_disk_is_logged_and_leaves_no_partial_file(folder, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("os.fsync", lambda _: exec("raise OSError(28, 'No space left on device')"))
    load("AVX2", tiles=False)
    assert "cannot be cached for the next start: [Errno 28] No space left on device" in caplog.text
    assert (tmp_path / "built").exists() and not list(folder.iterdir())


def test_nearly_full_temporary_folder_is_not_used(folder, monkeypatch):
    monkeypatch.setattr(kernel_library, "MIN_FREE_BYTES", 1 << 60)
    with kernel_library._build_folder(private_folder("kernels")) as scratch:
        assert Path(scratch).parent == folder


class SlowCompiler:
    """A compiler that takes ten minutes in a child process, and records its process IDs."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scratch = tmp_path / "tmp"
        self.scratch.mkdir()
        self._processes = tmp_path / "processes"
        self._processes.touch()
        compiler = tmp_path / "slow"
        compiler.write_text(f"#!/bin/sh\n/bin/sleep 600 &\necho $$ $! >> {self._processes}\n: > $TMPDIR/left\nwait\n")
        compiler.chmod(0o755)
        monkeypatch.setenv("CXX", str(compiler))
        monkeypatch.setenv("TMPDIR", str(self.scratch))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr("tempfile.tempdir", None)

    def wait_until_running(self) -> None:
        wait_for(lambda: self._processes.read_text() and list(self.scratch.glob("*/left")), "for a compiler")

    def assert_gone(self) -> None:
        processes = self._processes.read_text().split()
        wait_for(lambda: not any(map(is_running, processes)), "for the compilers to end")
        wait_for(lambda: not list(self.scratch.iterdir()), "for the temporary files to be removed")


def is_running(process: str) -> bool:
    try:
        return Path("/proc", process, "stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def wait_for(event, what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not event():
        assert time.monotonic() < deadline, f"timed out waiting {what}"
        time.sleep(0.02)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlowCompiler:
    return SlowCompiler(tmp_path, monkeypatch)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen]]:
    processes: list[subprocess.Popen] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_compilers_end_with_their_process(kind, slow, started):
    code = "from sam2_ros.acceleration.cpu.kernels.library import load; load('AVX2', tiles=False)"
    started.append(program := subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True))
    slow.wait_until_running()
    program.send_signal(kind)
    stderr = program.communicate(timeout=TIMEOUT)[1]
    assert program.returncode == -kind and ("KeyboardInterrupt" in stderr) == (kind == signal.SIGINT)
    slow.assert_gone()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_node_shuts_down_during_compilation(kind, slow, started, ros_domain):
    command = [sys.executable, "-m", "sam2_ros.ros.node"]
    started.append(node := subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    slow.wait_until_running()
    node.send_signal(kind)
    stderr = node.communicate(timeout=TIMEOUT)[1]
    assert node.returncode == 0 and "Traceback" not in stderr and "Not configured" not in stderr
    slow.assert_gone()


def test_compilation_in_another_thread_is_cancelled(slow, monkeypatch):
    monkeypatch.setattr(stopping, "_stopping", threading.Event())
    raised: list[BaseException] = []

    def build() -> None:
        try:
            kernel_library._library_of_this_cpu.__wrapped__()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    slow.wait_until_running()
    stopping.stop()
    thread.join(TIMEOUT)
    assert not thread.is_alive() and isinstance(raised[0], stopping.Stopped)
    slow.assert_gone()


def test_compiler_timeout(slow, monkeypatch, caplog):
    monkeypatch.setattr(kernel_library, "COMPILER_TIMEOUT", 0.0)
    monkeypatch.setattr(kernel_library.shlex, "split", lambda _: [])  # only g++, which is the slow one
    monkeypatch.setenv("PATH", str(slow.scratch.parent))
    (slow.scratch.parent / "slow").rename(slow.scratch.parent / "g++")
    with caplog.at_level(logging.WARNING, "sam2_ros"):
        assert kernel_library._library_of_this_cpu.__wrapped__() is None
    assert "timed out" in caplog.text
    slow.assert_gone()
