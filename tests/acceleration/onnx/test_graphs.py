"""The functions of the network as graphs."""

from __future__ import annotations

from sam2_ros.acceleration.onnx.graphs import GRAPHS, Functions
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2


def test_every_graph_has_a_name() -> None:
    assert tuple(Functions(SAM2(CONFIGS["default"])).graphs()) == GRAPHS
