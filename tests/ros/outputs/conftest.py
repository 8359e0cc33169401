"""Fixtures of the tests of outputs."""

from __future__ import annotations

import pytest
from rclpy.lifecycle import LifecycleNode
from robot import Graph


@pytest.fixture
def node(graph: Graph) -> LifecycleNode:
    """A node without a network, in place of ours. Its publishers publish once it is activated."""
    return graph.add(LifecycleNode("sam2", context=graph.context))
