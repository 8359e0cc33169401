"""Compiled kernels are run from a place where nobody else can put any, whole, and their compilers can be stopped."""

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
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")


def compiled(library: Path, trace: Path) -> Path:
    """A library that leaves a trace as soon as it is loaded."""
    code = f'#include <fcntl.h>\n__attribute__((constructor)) static void run() {{ creat("{trace}", 0600); }}\n'
    command = ["gcc", "-shared", "-fPIC", "-xc", "-", "-o", library]
    subprocess.run(list(map(str, command)), input=code, text=True, check=True)
    return library


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where kernels are kept, empty; what is compiled has the trace "built"."""
    library = compiled(tmp_path / "library", tmp_path / "built")
    compiler = tmp_path / "g++"
    compiler.write_text(f'#!/bin/sh\necho >> {tmp_path}/calls\nfor to; do :; done\nexec cp {library} "$to"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sam2_ros" / "kernels"


def kernels_ran(tmp_path: Path) -> tuple[bool, bool]:
    """Loads kernels as a program that has just started. Whether they were built, and whether a planted one ran."""
    for file in ("built", "planted", "calls"):
        (tmp_path / file).unlink(missing_ok=True)
    if not (child := os.fork()):  # has everything but these libraries
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
def test_they_are_kept_where_only_this_user_may_write(folder, tmp_path, umask):
    before = os.umask(umask)
    try:
        assert kernels_ran(tmp_path) == (True, False)
        assert kernels_ran(tmp_path) == (False, False)
    finally:
        os.umask(before)
    (kept,) = folder.iterdir()
    assert mode(folder) == 0o700 and mode(kept) == 0o600


def planted(folder: Path, tmp_path: Path) -> Path:
    """A library of somebody else's in the place of ours, with a checksum that fits."""
    assert kernels_ran(tmp_path) == (True, False)
    (kept,) = folder.iterdir()
    other = compiled(tmp_path / "other", tmp_path / "planted")
    kernel_library._kept(other, kept)
    assert kernels_ran(tmp_path) == (False, True)  # so this is how one would be planted
    return kept


def test_one_that_others_may_have_planted_does_not_run(folder, tmp_path):
    planted(folder, tmp_path)
    folder.chmod(0o777)
    assert kernels_ran(tmp_path) == (True, False)
    assert mode(folder) == 0o700
    assert kernels_ran(tmp_path) == (False, False)


def test_a_file_that_others_may_write_does_not_run(folder, tmp_path):
    planted(folder, tmp_path).chmod(0o666)
    assert kernels_ran(tmp_path) == (True, False)
    assert kernels_ran(tmp_path) == (False, False)


@pytest.mark.parametrize("level", [0, 1])
def test_nothing_is_kept_or_run_below_a_folder_that_others_may_write_to(folder, tmp_path, level, monkeypatch, caplog):
    planted(folder, tmp_path)
    open_to_all = folder.parents[level]
    open_to_all.chmod(0o777)
    for _ in range(2):
        assert kernels_ran(tmp_path) == (True, False)
    load("AVX2", tiles=False)
    assert f"built anew at every start, since they cannot be kept: others may write to {open_to_all}" in caplog.text
    open_to_all.chmod(0o1777)  # sticky, as /tmp is
    assert kernels_ran(tmp_path) == (False, True)


@AS_ROOT
def test_nothing_of_another_user_runs(folder, tmp_path):
    kept = planted(folder, tmp_path)
    os.chown(kept, NOBODY, NOBODY)
    assert kernels_ran(tmp_path) == (True, False)  # and it is ours again
    kept = planted(folder.rename(folder.with_name("moved")) and folder, tmp_path)
    for owned in (folder, folder.parent, folder.parents[1]):  # the last as with sudo, when HOME stays the user's
        os.chown(owned, NOBODY, NOBODY)
        assert kernels_ran(tmp_path) == (True, False)
        os.chown(owned, 0, 0)


def test_a_link_in_place_of_the_folder_or_file_is_not_followed(folder, tmp_path):
    kept = planted(folder, tmp_path)
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert kernels_ran(tmp_path) == (True, False)
    shutil.rmtree(folder)
    planted(folder, tmp_path)
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert kernels_ran(tmp_path) == (True, False)


def test_a_damaged_one_is_built_anew_instead_of_ending_the_process(folder, tmp_path):
    assert kernels_ran(tmp_path) == (True, False)
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", whole[:10], whole[:4096], whole[:-1], whole[:900] + bytes([whole[900] ^ 1]) + whole[901:]):
        kept.write_bytes(damaged)
        assert kernels_ran(tmp_path) == (True, False)
        assert kept.read_bytes() == whole and kernels_ran(tmp_path) == (False, False)


def test_they_are_not_compiled_where_others_could_exchange_them(folder, tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(shared))
    monkeypatch.setattr("tempfile.tempdir", None)
    with kernel_library._scratch(private_folder("kernels")) as scratch:
        assert Path(scratch).parent == folder
    with pytest.raises(PermissionError, match="others may write to"):
        kernel_library._scratch(None)
    assert kernels_ran(tmp_path) == (True, False)
    assert len(list(folder.iterdir())) == 1 and not list(shared.iterdir())


def test_a_full_disk_is_said_and_leaves_nothing_half_written(folder, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("os.fsync", lambda _: exec("raise OSError(28, 'No space left on device')"))
    load("AVX2", tiles=False)
    assert "cannot be kept for the next start: [Errno 28] No space left on device" in caplog.text
    assert (tmp_path / "built").exists() and not list(folder.iterdir())


def test_a_temporary_folder_that_is_nearly_full_is_not_compiled_in(folder, monkeypatch):
    monkeypatch.setattr(kernel_library, "ROOM", 1 << 60)
    with kernel_library._scratch(private_folder("kernels")) as scratch:
        assert Path(scratch).parent == folder


class Slow:
    """A compiler that takes ten minutes, as a shell that starts another process, and knows who it is."""

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

    def wait_until_it_runs(self) -> None:
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
        assert time.monotonic() < deadline, f"waited in vain {what}"
        time.sleep(0.02)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(tmp_path, monkeypatch)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen]]:
    processes: list[subprocess.Popen] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_program_that_is_stopped_takes_its_compilers_along(kind, slow, started):
    code = "from sam2_ros.acceleration.cpu.kernels.library import load; load('AVX2', tiles=False)"
    started.append(program := subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True))
    slow.wait_until_it_runs()
    program.send_signal(kind)
    said = program.communicate(timeout=TIMEOUT)[1]
    assert program.returncode == -kind and ("KeyboardInterrupt" in said) == (kind == signal.SIGINT)
    slow.assert_gone()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_node_hears_at_once_that_it_is_to_end_while_kernels_are_built(kind, slow, started, ros_domain):
    command = [sys.executable, "-m", "sam2_ros.ros.node"]
    started.append(node := subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    slow.wait_until_it_runs()
    node.send_signal(kind)
    said = node.communicate(timeout=TIMEOUT)[1]
    assert node.returncode == 0 and "Traceback" not in said and "Not configured" not in said
    slow.assert_gone()


def test_a_build_in_another_thread_is_stopped(slow, monkeypatch):
    monkeypatch.setattr(stopping, "_stopping", threading.Event())
    raised: list[BaseException] = []

    def build() -> None:
        try:
            kernel_library._library_of_this_processor.__wrapped__()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    slow.wait_until_it_runs()
    stopping.stop()
    thread.join(TIMEOUT)
    assert not thread.is_alive() and isinstance(raised[0], stopping.Stopped)
    slow.assert_gone()


def test_a_compiler_that_never_ends_is_given_up(slow, monkeypatch, caplog):
    monkeypatch.setattr(kernel_library, "COMPILER_PATIENCE", 0.0)
    monkeypatch.setattr(kernel_library.shlex, "split", lambda _: [])  # only g++, which is the slow one
    monkeypatch.setenv("PATH", str(slow.scratch.parent))
    (slow.scratch.parent / "slow").rename(slow.scratch.parent / "g++")
    with caplog.at_level(logging.WARNING, "sam2_ros"):
        assert kernel_library._library_of_this_processor.__wrapped__() is None
    assert "timed out" in caplog.text
    slow.assert_gone()
