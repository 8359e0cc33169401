"""The command that fine-tunes on annotation projects."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_projects import make_project

from sam2_ros.annotation.fine_tune import main

SMALL = "--size 64 --frames 2 --clips 1 --workers 0 --no-iou-head"


@pytest.fixture
def projects(tmp_path: Path) -> list[str]:
    return [str(make_project(tmp_path / str(number), f"walk{number}", frames=4)) for number in range(2)]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    kept = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    yield
    for kind, handler in kept.items():
        signal.signal(kind, handler)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sam2_ros annotate fine-tune", *words])
    return main()


@pytest.mark.slow
def test_it_tells_what_it_was_worth_and_how_the_node_takes_it(
    tmp_path: Path, projects: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new weights"
    assert run(monkeypatch, *projects, "--out", str(out), "--steps", "1", *SMALL.split()) == 0
    printed = capsys.readouterr().out.splitlines()
    assert (
        printed[0].startswith(("Better: J&F ", "Not better: J&F ", "Not clearly better: J&F "))
        and "1 held-out recording" in printed[0]
    )
    assert any(f"checkpoint:='{out}/weights.safetensors'" in line for line in printed)
    assert str(out / "report.md") in "".join(printed)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing", "--out", "out"], "nothing is no annotation project"),
        (["PROJECTS", "--out", "out", "--steps", "1", "--minutes", "1"], "--minutes or --steps"),
        (["PROJECTS", "--out", "out", "--held-out", "1.5"], "between 0 and 1"),
        (["PROJECTS", "--out", "out", "--size", "100"], "multiple of 32"),
        (["PROJECTS", "--out", "out", "--recipe", "nonsense"], "there is no recipe `nonsense`"),
        (["PROJECTS", "--out", "out", "--checkpoint", "missing.pt"], "missing.pt: no such file"),
        (["PROJECTS", "--out", "/proc/out"], "/proc/out"),
        (["PROJECTS", "--out", __file__], "test_fine_tune.py is no folder; give another --out"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path,
    projects: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *(projects if words[0] == "PROJECTS" else words[:1]), *words[1:]) == 2
    shown = capsys.readouterr()
    (line,) = [line for line in (shown.out + shown.err).splitlines() if line.strip()]
    assert line.startswith("error: ") and message in line


@pytest.mark.slow
def test_ctrl_c_writes_a_checkpoint(tmp_path: Path, projects: list[str]) -> None:
    words = [*projects, "--out", str(tmp_path / "out"), "--steps", "100000", *SMALL.split()]
    process = subprocess.Popen([sys.executable, "-m", "sam2_ros.annotation.fine_tune", *words], stderr=subprocess.PIPE)
    try:
        while process.poll() is None and not list((tmp_path / "out").glob("run/events.*")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130 and b"the same command resumes" in told
    assert (tmp_path / "out/run/checkpoint.pt").exists() and not (tmp_path / "out/weights.safetensors").exists()
