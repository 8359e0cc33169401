"""Exported graphs and the network they were exported from are compared on a stream."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_ros.checkpoints.load import load_model
from sam2_ros.deployment.check import compare
from sam2_ros.model.sam2 import SAM2


@pytest.fixture(scope="module")
def network() -> SAM2:
    return load_model(device="cpu", image_size=192, aspect="4:3")


def test_graphs_and_network_track_a_stream_equally(network: SAM2, exported: Path) -> None:
    """Clicks, boxes, masks, corrections and late prompts, of several objects with memories of different lengths."""
    comparison = compare(network, exported)
    assert comparison.same_presence and comparison.difference < 1e-3
