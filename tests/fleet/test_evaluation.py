"""Scores of clips, one at a time, are those of `sam2_ros evaluate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from threads import one_thread

from sam2_ros.commands.fleet import KINDS as NAMED
from sam2_ros.evaluation.__main__ import main as evaluate
from sam2_ros.evaluation.prompts import KINDS
from sam2_ros.fleet.evaluation import SCORES, EvaluationJob
from sam2_ros.fleet.job import Loaded, Model
from sam2_ros.fleet.piece import Outcome, Piece

MODEL = Model(device="cpu", size=64)


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    with one_thread():
        yield


def work(job: EvaluationJob, root: Path, loaded: Loaded) -> list[Outcome]:
    return [job.work(piece, loaded, lambda done, total: None) for piece in job.look(root.name, root)]


def test_command_names_all_kinds_of_prompts() -> None:
    assert set(NAMED) == set(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [("click",), ("box", "mask")])
def test_scores_are_those_of_one_machine(
    kinds: tuple[str, ...], tmp_path: Path, write_square: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "bags"
    for number in range(2):
        write_square(root, number, 6)
    job, loaded = EvaluationJob(MODEL, tmp_path / "fleet", kinds), Loaded(*MODEL.load())
    outcomes = work(job, root, loaded)
    assert [(one.state, one.piece.name) for one in outcomes] == [("done", "bags/run0"), ("done", "bags/run1")]
    job.report(outcomes, {}).save(job.out)
    arguments = ["--data", root, "--prompt", *kinds, "--size", 64, "--device", "cpu", "--out", tmp_path / "alone"]
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    assert evaluate() == 0
    scores, alone = (json.loads((tmp_path / folder / SCORES).read_text()) for folder in ("fleet", "alone"))
    del scores["settings"], alone["settings"]
    assert scores == alone and alone

    again = work(job, root, loaded)
    assert [one.state for one in again] == ["unchanged", "unchanged"]
    assert [one.scores for one in again] == [one.scores for one in outcomes]
    (job.out / "bags/run0" / SCORES).write_text('{"made_of": "half')
    assert [one.state for one in work(job, root, loaded)] == ["done", "unchanged"]


def test_clips_that_failed_are_named_in_the_report(tmp_path: Path) -> None:
    failed = Outcome(Piece("bags/run1", tmp_path, 0, clip="run1"), "failed", "its file is damaged")
    with pytest.raises(ValueError, match="nothing was scored"):
        EvaluationJob(MODEL, tmp_path).report([failed], {})
