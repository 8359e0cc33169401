"""The mean of weights: what it holds, and what has none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_model
from sam2_ros.checkpoints.save import save_weights
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.training.average import average, main


@pytest.fixture
def two() -> tuple[SAM2, SAM2]:
    return SAM2(CONFIGS["default"]), SAM2(CONFIGS["default"])


@pytest.mark.parametrize(("shares", "part"), [(None, 0.5), ([3, 1], 0.25), ([0, 2], 1.0)])
def test_mean_of_every_weight(two: tuple[SAM2, SAM2], shares: list[float] | None, part: float) -> None:
    states = [{key: value.clone() for key, value in model.state_dict().items()} for model in two]
    assert average(two, shares) is two[0]
    for key, value in two[0].state_dict().items():
        torch.testing.assert_close(value, torch.lerp(states[0][key], states[1][key], part), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shares", [[1.0], [1.0, -1.0], [0.0, 0.0], [float("nan"), 1.0], [1e308, 1e308]])
def test_shares_that_make_no_mean(two: tuple[SAM2, SAM2], shares: list[float]) -> None:
    with pytest.raises(ValueError, match="--shares"):
        average(two, shares)


def test_different_models_have_no_mean(two: tuple[SAM2, SAM2]) -> None:
    with pytest.raises(CheckpointError, match=r"Weights of default and of sam2\.1_hiera_tiny have no mean"):
        average((two[0], SAM2(CONFIGS["sam2.1_hiera_tiny"])))
    two[1].missing_weights = ("memory_encoder.weight",)
    with pytest.raises(CheckpointError, match="for still images"):
        average(two)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["average", *map(str, arguments)])
    return main()


def test_released_weights_are_named_and_the_mean_is_loaded_again(
    two: tuple[SAM2, SAM2], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(two[0], tmp_path / "mine.safetensors", torch.float32)
    out = tmp_path / "mean.safetensors"
    assert run(monkeypatch, out, "default", tmp_path / "mine.safetensors", "--shares", 1, 3) == 0
    mean, released = load_model(checkpoint=out, device="cpu"), load_model(device="cpu")
    for key, value in mean.state_dict().items():
        expected = 0.25 * released.state_dict()[key] + 0.75 * two[0].state_dict()[key]
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-4)


def test_errors_are_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mean.safetensors"
    assert run(monkeypatch, out, "default", tmp_path / "none.safetensors") == 2
    assert "none.safetensors" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(monkeypatch, out, "default")
    assert "two or more" in capsys.readouterr().err
    assert not out.exists()
