"""Fixtures of the node tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import message_packages
import pytest
import torch
from robot import Graph, Robot
from vision_detector import Detector

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


@pytest.fixture(scope="session")
def vision_environment() -> dict[str, str]:
    """What a child process has to have in its environment to import vision_msgs.

    Where it is not installed, our own definitions of the same messages are built, in ten seconds, and kept in the cache
    folder for the next run.
    """
    if importlib.util.find_spec("vision_msgs") is not None:
        return {}
    return message_packages.environment_of(message_packages.cached("vision_msgs"))


@pytest.fixture(scope="session")
def vision(vision_environment: dict[str, str]) -> ModuleType:
    """The module `vision_msgs.msg`. Nodes of this process that are configured from now on find it, too."""
    if vision_environment:
        message_packages.make_importable(message_packages.cached("vision_msgs"))
    from vision_msgs import msg

    return msg


@pytest.fixture(scope="session")
def transforms() -> ModuleType:
    """The module `tf2_msgs.msg`, built like vision_msgs where it is not installed."""
    if importlib.util.find_spec("tf2_msgs") is None:
        message_packages.make_importable(message_packages.cached("tf2_msgs"))
    from tf2_msgs import msg

    return msg


@pytest.fixture
def detector(robot: Robot, vision: ModuleType) -> Detector:
    """A detector on the topic `detections`. Nodes that are made after it subscribe to it."""
    return Detector(robot, vision)


@pytest.fixture
def sam2(graph: Graph, checkpoint: Path) -> Sam2Node:
    """An active node, connected to the robot."""
    node = graph.sam2(checkpoint=str(checkpoint))
    graph.robot.wait_until_connected()
    return node
