"""Graphs are exported for one aspect, and their dynamic axes have names."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from sam2_ros.acceleration.onnx.export import export
from sam2_ros.checkpoints.load import load_model


def test_graphs_are_for_one_aspect(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="images of one aspect: choose it"):
        next(export(load_model(device="cpu"), tmp_path / "graphs"))
    assert not (tmp_path / "graphs").exists()


def test_dynamic_axes_have_names(exported: Path) -> None:
    def axes(graph: str) -> dict[str, list[str]]:
        content = onnx.load(exported / f"{graph}.onnx").graph
        values = {value.name: value.type.tensor_type.shape.dim for value in (*content.input, *content.output)}
        return {name: [dim.dim_param for dim in dims if dim.dim_param] for name, dims in values.items()}

    condition, decode = axes("condition"), axes("decode")
    assert condition["maps"] == ["objects", "maps"] and condition["pointer_age"] == ["objects", "pointers"]
    assert decode["points"] == ["objects", "points"] and decode["mask_logits"] == ["objects"]
    assert not any(axes("encode_image").values())
