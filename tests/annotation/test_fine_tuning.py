"""From annotation projects to new weights."""

import json
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from small_projects import make_project

from sam2_ros.annotation.fine_tuning import fine_tune
from sam2_ros.annotation.held_out import BY_RECORDING
from sam2_ros.annotation.project import ProjectError
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import DEFAULT_WEIGHTS, load_sam2

SMALL = {"stage": {"steps": 3, "size": 64, "frames": 2, "clips": 1, "workers": 0}}


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("projects")
    return [make_project(root / str(number), f"walk{number}", frames=5) for number in range(6)]


@pytest.mark.slow
def test_new_weights_and_their_report(tmp_path: Path, projects: list[Path]) -> None:
    heard: dict[str, list[float]] = {}
    tuned = fine_tune(
        projects,
        tmp_path / "out",
        changes=SMALL,
        share=0.01,
        on_progress=lambda what, share: heard.setdefault(what, []).append(share),
    )
    assert tuned is not None and tuned.by == BY_RECORDING
    assert list(heard) == ["training", "rating of masks", "before and after"]
    assert all(shares == sorted(shares) and shares[-1] == 1.0 for shares in heard.values())
    new, old = load_sam2(None, tuned.weights), load_sam2()
    assert not torch.equal(new.no_mem_embed, old.no_mem_embed)

    report = json.loads((tmp_path / "out/report.json").read_text())
    (held_out,) = report["recordings"]
    assert report["settings"]["held out"] == held_out
    assert held_out not in report["settings"]["learnt from"].split(", ")
    assert len(report["settings"]["learnt from"].split(", ")) == 5
    assert report["settings"]["training"].startswith("3 steps")
    for when in ("before", "after"):
        assert report[when]["j_and_f"] == pytest.approx(tuned.compared.summary(when).j_and_f, abs=1e-5)
        assert report[when]["objects"] == 2  # the third comes on the last frame but one, of which none is left to score
    text = tuned.report.read_text()
    assert tuned.verdict in text and f"checkpoint:={tuned.weights}" in text
    assert any("IoU head was fitted" in note for note in tuned.notes)
    picture = cv2.imread(str(tmp_path / "out/report.png"))
    assert picture.shape == tuned.compared.picture.shape

    again = fine_tune(projects, tmp_path / "out", changes=SMALL, share=0.01)  # it is complete
    assert again is not None and json.loads((tmp_path / "out/report.json").read_text()) == report
    with pytest.raises(ProjectError, match="another fine-tuning, with other projects, training"):
        fine_tune(projects[:4], tmp_path / "out", changes=SMALL, share=0.01)


@pytest.mark.slow
def test_cancelled_training_resumes(tmp_path: Path, projects: list[Path]) -> None:
    steps: list[float] = []
    arguments = {"changes": SMALL, "iou_head": False, "on_progress": lambda what, share: steps.append(share)}
    assert fine_tune(projects, tmp_path / "out", cancelled=lambda: len(steps) > 1, **arguments) is None
    assert not (tmp_path / "out/weights.safetensors").exists()
    assert steps[-1] == pytest.approx(1 / 3)
    resumed = fine_tune(projects, tmp_path / "out", **arguments)
    whole = fine_tune(projects, tmp_path / "whole", **arguments)
    assert resumed is not None and whole is not None
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()


@pytest.mark.slow
def test_weights_that_do_not_fit(tmp_path: Path, projects: list[Path]) -> None:
    out = tmp_path / "out"
    with pytest.raises(CheckpointError, match="looks like default"):
        fine_tune(projects, out, model="sam2.1_hiera_tiny", init=DEFAULT_WEIGHTS, changes=SMALL)
    other = tmp_path / "other.pt"
    torch.save({"model": {"a": torch.zeros(2)}}, other)
    with pytest.raises(CheckpointError, match=f"{other}: fits none of the known models"):
        fine_tune(projects, out, init=other, changes=SMALL)
    with pytest.raises(CheckpointError, match="no such file"):
        fine_tune(projects, out, init=tmp_path / "missing.pt", changes=SMALL)
    assert not (out / "run").exists()


def test_recordings_that_are_gone_or_damaged(tmp_path: Path) -> None:
    projects = [make_project(tmp_path / str(number), f"walk{number}", frames=5) for number in range(2)]
    images = tmp_path / "1/images"
    shutil.copytree(images, tmp_path / "copy")
    for file in images.iterdir():
        file.write_bytes(b"x" * 100)
    with pytest.raises(ProjectError, match="walk1 was made for"):
        fine_tune(projects, tmp_path / "out", changes=SMALL)
    shutil.rmtree(images)
    with pytest.raises(ProjectError, match=f"recording of {projects[1]} is not there: {images}"):
        fine_tune(projects, tmp_path / "out", changes=SMALL)
    with pytest.raises(ProjectError, match="is no annotation project"):
        fine_tune([tmp_path / "nothing"], tmp_path / "out", changes=SMALL)


@pytest.mark.slow
def test_full_disk_is_an_error_that_loses_nothing(tmp_path: Path, projects: list[Path]) -> None:
    run = tmp_path / "out/run"
    run.mkdir(parents=True)
    (run / "checkpoint.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        fine_tune(projects, tmp_path / "out", changes=SMALL, iou_head=False)
    (run / "checkpoint.part").unlink()
    (tmp_path / "out/unfinished.weights.safetensors").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        fine_tune(projects, tmp_path / "out", changes=SMALL, iou_head=False)
    assert (run / "checkpoint.pt").exists() and not (tmp_path / "out/weights.safetensors").exists()
    (tmp_path / "out/unfinished.weights.safetensors").unlink()
    tuned = fine_tune(projects, tmp_path / "out", changes=SMALL, iou_head=False)
    assert tuned is not None and tuned.weights.exists()
