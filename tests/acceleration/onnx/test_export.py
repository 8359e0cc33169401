"""Graphs are exported for one aspect."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_ros.acceleration.onnx.export import export
from sam2_ros.checkpoints.load import load_model


def test_graphs_are_for_one_aspect(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="images of one aspect: choose it"):
        next(export(load_model(device="cpu"), tmp_path / "graphs"))
    assert not (tmp_path / "graphs").exists()
