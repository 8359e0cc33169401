"""`sam2_ros fleet` from the command line to the table."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from sam2_ros.commands import fleet_run
from sam2_ros.commands.fleet import main, parse
from sam2_ros.data import bag
from sam2_ros.data.clip import Clip
from sam2_ros.fleet.piece import Outcome, Piece

pytest.importorskip("ray", reason="Ray cannot be installed for this Python or this machine")

FAST = ("--size", "64", "--threads", "1", "--workers", "2")


def write_bag(path: Path, frames: int = 6) -> Path:
    """A red square that moves over a smooth picture."""
    picture = cv2.resize(np.random.default_rng(0).integers(40, 140, (4, 5, 3), np.uint8), (64, 48))
    masks = np.zeros((frames, 1, 48, 64), bool)
    images = [picture.copy() for _ in range(frames)]
    for index in range(frames):
        masks[index, 0, 10:30, 4 + index % 30 : 26 + index % 30] = True
        images[index][masks[index, 0]] = (230, 40, 30)
    bag.write(Clip(path.name, images, (1,), [*masks], 10.0), path, masklets="/truth")
    return path


class Process:
    """The command in a process, and all that it starts, which are known by a word in their environment."""

    def __init__(self, *arguments: object) -> None:
        self._word = f"FLEET_TEST={uuid.uuid4().hex}"
        name, value = self._word.split("=")
        environment = {**os.environ, name: value, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sam2_ros", "fleet", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
        )  # fmt: skip

    def wait(self) -> tuple[int, str, str]:
        """Exit status, output in one line, and errors."""
        output, errors = self.process.communicate(timeout=300)
        return self.process.returncode, " ".join(output.split()), errors

    def left(self) -> list[str]:
        """Processes that still run."""
        running = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._word.encode() in (process / "environ").read_bytes():
                    running.append((process / "comm").read_text().strip())
            except OSError:
                continue
        return running


def fleet(*arguments: object) -> tuple[int, str, str]:
    return Process(*arguments).wait()


def table_in(out: Path) -> dict[str, tuple[str, str]]:
    """State and reason of each recording."""
    rows = json.loads((out / "fleet.json").read_text())["recordings"]
    return {row["recording"]: (row["state"], row["reason"]) for row in rows}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mow", "bags"], "invalid choice: 'mow'"),
        (["everything"], "required: RECORDING"),
        (["track", "bags", "--stretch", "9"], "--stretch needs everything"),
        (["everything", "bags", "--stretch", "0"], "--stretch must be more than 0 seconds"),
        (["everything", "bags", "--prompt", "click"], "--prompt needs evaluate"),
        (["everything", "bags", "--no-backward"], "--backward and --no-backward need track"),
        (["evaluate", "bags", "--format", "coco"], "are for everything and track"),
        (["track", "bags", "--format", "coco", "--masklets-only"], "--masklets-only is about the bag"),
        (["track", "bags", "--format", "none", "coco"], "--format none excludes others"),
        (["track", "bags", "--retries", "-1"], "--retries must be 0 or more"),
        (["track", "bags", "--workers", "0"], "--workers must be 1 or more"),
        (["track", "bags", "--threads", "0"], "--threads must be 1 or more"),
    ],
)
def test_options_that_do_not_fit(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2 and message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["everything", "empty"], "there is no bag, video or folder of images in empty"),
        (["everything", "none", "nor/this"], "none, nor/this: not there"),
        (["everything", "bags", "--out", "bags"], "bags/run1 is a recording itself; choose another folder with --out"),
        (["everything", "bags", "--checkpoint", "none.pt"], "none.pt"),
        (["everything", "bags", "--max-masklets", "0"], "max_masklets is 0"),
    ],
)
@pytest.mark.slow
def test_nothing_to_begin_with_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_bag(tmp_path / "bags/run1")
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("fleet: ") and errors.count("\n") == 1 and message in errors, errors


def test_names_and_reasons_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(Piece("[x=1]run", Path("run"), 3), "failed", "no [/images]")
    fleet_run._show_table(Console(width=100), [outcome])
    assert capsys.readouterr().out.splitlines()[1].rstrip().split(maxsplit=3) == [
        "[x=1]run",
        "3",
        "failed",
        "no [/images]",
    ]


@pytest.mark.slow
def test_failures_are_named_and_the_others_done(tmp_path: Path) -> None:
    for name in ("run1", "run2", "run3"):
        write_bag(tmp_path / "bags" / name)
    (mcap,) = (tmp_path / "bags/run2").glob("*.mcap")
    mcap.write_bytes(b"no bag at all")
    (tmp_path / "bags/run1.prompts.json").write_text('[{"clicks": [[12, 20]], "label": "square"}]')
    out = tmp_path / "out"
    command = ["track", tmp_path / "bags", tmp_path / "missing.mp4", *FAST, "--format", "coco", "--out", out]
    status, output, errors = fleet(*command)
    assert (status, errors) == (1, ""), errors
    assert "4 recordings, 2 workers with 1 thread each, on this machine" in output
    table = table_in(out)
    assert {name: state for name, (state, _) in table.items()} == {
        "missing": "failed", "run1": "done", "run2": "failed", "run3": "failed",
    }  # fmt: skip
    assert "there are no prompts for it" in table["run3"][1] and "no such file or folder" in table["missing"][1]
    for name, (state, reason) in table.items():
        assert state == "done" or f"{name}: failed: {reason}" in output
    assert "1 done, 3 failed" in output and (out / "run1/coco").is_dir() and (out / "run1/sheet.jpg").is_file()


def wait_for(file: Path, process: subprocess.Popen) -> None:
    while not file.exists() or not file.stat().st_size:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_interrupted_it_ends_its_workers_and_the_same_command_goes_on(tmp_path: Path) -> None:
    for name in ("run1", "run2"):
        write_bag(tmp_path / "bags" / name, 30)
    out, options = tmp_path / "out", ("--max-masklets", 3, "--format", "none")
    command = ("everything", tmp_path / "bags", *FAST, *options, "--out", out)
    first = Process(*command)
    wait_for(out / "run1/masklets.db-wal", first.process)
    os.killpg(first.process.pid, signal.SIGINT)  # as a terminal does
    status, output, errors = first.wait()
    assert status == 130 and "interrupted; the same command goes on where it was" in output
    assert "Traceback" not in output + errors  # Ray may say that it could not tell of a task that was ended
    deadline = time.monotonic() + 20
    while (left := first.left()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    assert {path.name for path in out.iterdir()} <= {"run1", "run2"}
    status, output, errors = fleet(*command)
    assert (status, errors) == (0, "") and "2 done" in output
    assert fleet(*command)[1].count("unchanged") >= 3


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray cluster of one machine, which asks for the token that is in the environment."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    address = f"127.0.0.1:{20000 + os.getpid() % 10000}"
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    start = ["start", "--head", f"--port={address.split(':')[1]}", "--node-ip-address=127.0.0.1", "--num-cpus=2"]
    start += [
        "--include-dashboard=false",
        "--block",
        "--object-store-memory=100000000",
        f"--temp-dir=/tmp/r{os.getpid()}",
    ]
    process = subprocess.Popen(
        [*ray, *start], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 90
        check = [*ray, "health-check", f"--address={address}"]
        while (checked := subprocess.run(check, capture_output=True, text=True, timeout=60)).returncode:
            assert process.poll() is None and time.monotonic() < deadline, checked.stderr
            time.sleep(0.5)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(f"/tmp/r{os.getpid()}", ignore_errors=True)


@pytest.mark.slow
def test_evaluation_on_a_cluster(cluster: str, tmp_path: Path) -> None:
    for name in ("run1", "run2"):
        write_bag(tmp_path / "bags" / name)
    out = tmp_path / "out"
    status, output, errors = fleet("evaluate", tmp_path / "bags", *FAST, "--address", cluster, "--out", out)
    assert (status, errors) == (0, ""), errors
    assert f"on the cluster {cluster}" in output
    assert table_in(out) == {"bags/run1": ("done", ""), "bags/run2": ("done", "")}
    scores = json.loads((out / "scores.json").read_text())
    assert scores["total"]["objects"] == 2 and set(scores["clips"]) == {"run1", "run2"}
    assert "J&F" in output and (out / "scores.md").is_file()


@pytest.mark.slow
def test_no_cluster_at_an_address_is_one_line(tmp_path: Path) -> None:
    write_bag(tmp_path / "bags/run1")
    status, _, errors = fleet("everything", tmp_path / "bags", "--address", "127.0.0.1:1", "--out", tmp_path / "out")
    assert status == 2 and errors.splitlines()[-1].startswith("fleet: ") and "127.0.0.1:1" in errors, errors
