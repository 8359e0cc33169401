"""Fixtures of the node tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from robot import Graph, Robot

from sam2_ros.checkpoints.save import save_weights
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.ros.node import Sam2Node


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the default model, with which objects are always present."""
    torch.manual_seed(1)
    model = SAM2(CONFIGS["default"])
    with torch.no_grad():
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(20.0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(model, path)
    return path


@pytest.fixture
def graph(ros_domain: int) -> Iterator[Graph]:
    graph = Graph(ros_domain)
    yield graph
    graph.close()


@pytest.fixture
def robot(graph: Graph) -> Robot:
    return graph.robot


@pytest.fixture
def sam2(graph: Graph, checkpoint: Path) -> Sam2Node:
    """An active node, connected to the robot."""
    node = graph.sam2(checkpoint=str(checkpoint))
    graph.robot.wait_until_connected()
    return node
