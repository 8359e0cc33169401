"""One piece after the other, in this process: what a worker writes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from threads import one_thread

from sam2_ros.commands.track import main as track
from sam2_ros.fleet.job import Loaded, Model
from sam2_ros.fleet.masklets import MaskletJob, prompt_file
from sam2_ros.fleet.piece import Outcome, Piece
from sam2_ros.recordings.everything import AutomaticMaskletSettings
from sam2_ros.recordings.run_store import Search

pytestmark = pytest.mark.slow

MODEL = Model(device="cpu", size=64)
FAST = ("--size", "64", "--device", "cpu")
SEARCH = Search(AutomaticMaskletSettings(max_masklets=3), 32)


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return Loaded(*MODEL.load())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, write_square: Callable[[Path, int, int], Path]) -> Path:
    return write_square(tmp_path_factory.mktemp("source"), 1, 8)


def work(job: MaskletJob, source: Path, loaded: Loaded) -> list[Outcome]:
    return [job.work(piece, loaded, lambda done, total: None) for piece in job.look("run", source)]


def test_stretches_are_those_of_one_machine(source: Path, loaded: Loaded, masks_in, tmp_path: Path) -> None:
    job = MaskletJob(MODEL, tmp_path / "fleet", SEARCH, formats=(), stretch=0.4)
    outcomes = work(job, source, loaded)
    assert [one.piece.name for one in outcomes] == ["run/000000-000003", "run/000004-000007"]
    assert {one.state for one in outcomes} == {"done"}
    assert [one.state for one in work(job, source, loaded)] == ["unchanged", "unchanged"]
    for outcome in outcomes:
        piece, alone = outcome.piece, tmp_path / "alone" / outcome.piece.name
        stretch = ["--from", str(piece.start), "--to", str((piece.stop or 0) - 1)]
        options = ["--everything", "--max-masklets", "3", *stretch, "--out", str(alone)]
        assert track([str(source), *FAST, *options]) == 0
        assert masks_in(alone) == masks_in(job.out / piece.name) and masks_in(alone)[3]
        assert outcome.objects == len(masks_in(alone)[0]) - len(masks_in(alone)[1])


def test_prompts_of_the_bag_and_of_the_file_beside_it(source: Path, loaded: Loaded, masks_in, tmp_path: Path) -> None:
    assert track([str(source), *FAST, "--click", "12,16", "--out", str(tmp_path / "first"), "--no-backward"]) == 0
    bag = (tmp_path / "first/bag").rename(tmp_path / "run")
    job = MaskletJob(MODEL, tmp_path / "bag", search=None, formats=())
    (outcome,) = work(job, bag, loaded)
    assert (outcome.state, outcome.objects) == ("done", 1)
    assert masks_in(tmp_path / "bag/run")[1:] == masks_in(tmp_path / "first")[1:]

    prompt_file(bag).write_text(json.dumps([{"frame": 4, "clicks": [[20, 16]], "label": "square"}]))
    assert prompt_file(bag) == tmp_path / "run.prompts.json"
    (outcome,) = work(MaskletJob(MODEL, tmp_path / "file", search=None, formats=()), bag, loaded)
    assert outcome.state == "done"
    objects, _, frames, masks = masks_in(tmp_path / "file/run")
    assert objects == [(1, "square", 4)] and len(frames) == len(masks) == 8, "followed to both ends"


def test_recording_without_prompts_is_refused(source: Path, loaded: Loaded, tmp_path: Path) -> None:
    job = MaskletJob(MODEL, tmp_path, search=None, formats=())
    with pytest.raises(ValueError, match=r"no prompts for it, neither in the bag nor in .*run1\.prompts\.json"):
        work(job, source, loaded)


def test_folder_of_another_run_is_refused_unless_it_is_to_be_forgotten(
    source: Path, loaded: Loaded, tmp_path: Path
) -> None:
    job = MaskletJob(MODEL, tmp_path, Search(AutomaticMaskletSettings(max_masklets=1), 32), formats=())
    (piece,) = job.look("run", source)
    assert piece == Piece("run", source, 8)
    work(job, source, loaded)
    other = MaskletJob(MODEL, tmp_path, Search(AutomaticMaskletSettings(max_masklets=2), 32), formats=())
    with pytest.raises(ValueError, match=r"holds another run .*--restart"):
        work(other, source, loaded)
    again = MaskletJob(MODEL, tmp_path, other.search, formats=(), restart=True)
    assert [one.state for one in work(again, source, loaded)] == ["done"]
