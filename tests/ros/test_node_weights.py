"""Weights that cannot track are refused when the node is configured."""

from __future__ import annotations

import pytest
import torch
from rclpy.lifecycle import TransitionCallbackReturn
from robot import Graph
from safetensors.torch import load_file, save_file

from sam2_ros.checkpoints.names import VIDEO_ONLY


@pytest.mark.filterwarnings("ignore:.*nothing can be tracked")
def test_weights_without_memory_are_refused(graph: Graph, checkpoint, tmp_path):
    weights = {key: value for key, value in load_file(checkpoint).items() if not VIDEO_ONLY.match(key)}
    save_file(weights, tmp_path / "stills.safetensors")
    node = graph.sam2(autostart=False, checkpoint=str(tmp_path / "stills.safetensors"))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert node._configure_error.startswith("Not configured: These weights are for still images")


def test_weights_with_nan_are_refused(graph: Graph, checkpoint, tmp_path):
    weights = load_file(checkpoint)
    weights["no_obj_ptr"] = torch.full_like(weights["no_obj_ptr"], float("nan"))
    save_file(weights, tmp_path / "nan.safetensors")
    node = graph.sam2(autostart=False, checkpoint=str(tmp_path / "nan.safetensors"))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert f"Not configured: {tmp_path}/nan.safetensors: no_obj_ptr holds NaN or infinity" in node._configure_error
