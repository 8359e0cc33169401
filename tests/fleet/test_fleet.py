"""Workers of Ray: what becomes of the work when some are killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from threads import one_thread

pytest.importorskip("ray", reason="Ray cannot be installed for this Python or this machine")

import ray

from sam2_ros.commands.track import main as track
from sam2_ros.fleet.fleet import News, run, started
from sam2_ros.fleet.job import Job, Loaded, Model
from sam2_ros.fleet.masklets import MaskletJob
from sam2_ros.fleet.piece import Outcome, Piece, Report
from sam2_ros.fleet.plan import Plan
from sam2_ros.fleet.worker import Board, Setup, Worker
from sam2_ros.recordings.everything import AutomaticMaskletSettings
from sam2_ros.recordings.run_store import Search

pytestmark = pytest.mark.slow

MODEL = Model(device="cpu", size=64)
SEARCH = Search(AutomaticMaskletSettings(max_masklets=3), 32)
LONG = 90
"""Images of the bag whose worker is killed."""


@pytest.fixture(scope="module")
def workers() -> Iterator[Plan]:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
    with started(workers=2) as plan:
        yield plan


def worker_of(file: Path) -> int | None:
    """The process that has this file open and has written frames; None: not yet."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(opened) == str(file) for opened in process.glob("fd/*")):
                with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
                    (frames,) = database.execute("SELECT COUNT(*) FROM frames").fetchone()
                return int(process.name) if frames and int(process.name) != os.getpid() else None
        except (OSError, sqlite3.Error):
            continue
    return None


def test_killed_worker_costs_its_own_piece_only(
    workers: Plan, write_square: Callable[[Path, int, int], Path], masks_in, tmp_path: Path
) -> None:
    """8 bags, 2 workers, one killed in mid-work: all results are those of `sam2_ros track`, byte for byte."""
    recordings = [
        (f"run{number}", write_square(tmp_path, number, 6 if number else LONG).resolve()) for number in range(8)
    ]
    job = MaskletJob(MODEL, tmp_path / "out", SEARCH, formats=("bag",))
    killed: list[int] = []

    def kill() -> None:
        while (process := worker_of(job.out / "run0/masklets.db")) is None:
            time.sleep(0.02)
        os.kill(process, signal.SIGKILL)
        killed.append(process)

    Thread(target=kill, daemon=True).start()
    seen: list[tuple[float, float]] = []
    restarted: list[str] = []
    news = News(lambda done, total: seen.append((done, total)), on_restart=restarted.append)
    outcomes = run(job, recordings, workers, MODEL.load()[1], news, threads=1)
    assert len(killed) == 1 and restarted == ["run0"]
    assert [(one.piece.name, one.state, one.starts) for one in outcomes] == [
        (f"run{number}", "done", 1 if number else 2) for number in range(8)
    ]
    assert seen[-1] == (LONG + 42, LONG + 42)
    for (name, path), outcome in zip(recordings, outcomes, strict=True):
        alone, out = tmp_path / "alone" / name, job.out / name
        options = ["--everything", "--max-masklets", "3", "--size", "64", "--device", "cpu", "--out", str(alone)]
        with one_thread():  # as many as workers have here
            assert track([str(path), *options]) == 0
        assert masks_in(out) == masks_in(alone) and len(masks_in(alone)[2]) == outcome.piece.images
        for file in ("bag/bag.mcap", "sheet.jpg"):
            assert (out / file).read_bytes() == (alone / file).read_bytes()
    assert {path.name for path in job.out.iterdir()} == {name for name, _ in recordings}


@dataclass(frozen=True)
class Deadly(Job):
    """Kills its worker at the piece `bad`, and fails at `wrong`, without touching the network."""

    model: Model
    out: Path

    def look(self, name: str, path: Path) -> Sequence[Piece]:
        if name == "unreadable":
            raise OSError(5, "Input/output error", str(path))
        return [Piece(name, path, 5)]

    def work(self, piece: Piece, loaded: Loaded, report: Report) -> Outcome:
        if piece.name == "bad":
            os.kill(os.getpid(), signal.SIGKILL)
        if piece.name == "wrong":
            raise RuntimeError("something\nunforeseen")
        return Outcome(piece, "done")


def test_piece_that_kills_every_worker_is_given_up_and_others_are_done(workers: Plan, tmp_path: Path) -> None:
    names = ["good1", "bad", "unreadable", "wrong", "good2", "good3"]
    told: list[str] = []
    news = News(on_outcome=lambda outcome: told.append(outcome.piece.name))
    job = Deadly(MODEL, tmp_path / "out")
    outcomes = run(job, [(name, tmp_path) for name in names], workers, MODEL.load()[1], news, retries=1)
    assert [one.piece.name for one in outcomes] == names and sorted(told) == sorted(names)
    states = {one.piece.name: (one.state, one.reason) for one in outcomes}
    assert states["bad"] == ("failed", "its workers were killed, 2 times; is there enough memory?")
    assert states["wrong"] == ("failed", "RuntimeError: something unforeseen")
    assert states["unreadable"] == ("failed", f"{tmp_path}: Input/output error")
    assert {states[name] for name in ("good1", "good2", "good3")} == {("done", "")}


def test_paths_that_a_worker_cannot_see_are_named(workers: Plan, tmp_path: Path) -> None:
    job = Deadly(MODEL, tmp_path / "out")
    board = ray.remote(Board).options(num_cpus=0).remote()
    setup = Setup(job, 1, MODEL.load()[1], tmp_path / "out/.fleet-here", board)
    there = Worker()
    missing = there.look(setup, "run", tmp_path / "run", exists=True)
    assert isinstance(missing, Outcome) and f"{tmp_path / 'run'} cannot be seen on " in missing.reason
    assert "must be on storage that all machines have" in missing.reason
    outcome = there.work(setup, Piece("good1", tmp_path, 5))
    assert outcome.state == "failed" and f"{tmp_path / 'out'} cannot be seen on " in outcome.reason
    setup.marker.parent.mkdir()
    setup.marker.touch()
    assert there.work(setup, Piece("good1", tmp_path, 5)).state == "done"
    other = Setup(job, 1, "other weights", setup.marker, board)
    outcome = Worker().work(other, Piece("good1", tmp_path, 5))
    assert outcome.state == "failed" and "has other weights than the machine of the command" in outcome.reason
