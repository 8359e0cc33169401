"""Fixtures of several folders of tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from robot import Graph, Robot

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as in the node: spinning threads lose all speed on a busy machine
# Processes that tests start find the modules beside this file as the tests do.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, processes that tests start would inherit that it is ignored
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # a machine that does other things as well is no failure


SLOW_FIXTURES = {"ros_domain", "exported", "vision_environment"}
"""Fixtures that start nodes, export the network, or build messages."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use slow fixtures; others carry the mark themselves."""
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS_DOMAIN_ID that is unused on this machine, set in the environment (child processes inherit it)."""
    from sam2_ros.ros.graph import free_domain  # imported here: tests of the Python API need no ROS

    domain = free_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    return domain


@pytest.fixture
def graph(ros_domain: int) -> Iterator[Graph]:
    """Nodes in this process, on a ROS domain of their own."""
    from robot import Graph

    graph = Graph(ros_domain)
    yield graph
    graph.close()


@pytest.fixture
def robot(graph: Graph) -> Robot:
    """The robot's own node among them."""
    return graph.robot


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model for small pictures as ONNX graphs, exported once, in half a minute."""
    from sam2_ros.acceleration.onnx.export import export
    from sam2_ros.checkpoints.load import load_model

    folder = tmp_path_factory.mktemp("graphs")
    names = set(export(load_model(device="cpu", image_size=192, aspect="4:3"), folder))
    assert names == {file.stem for file in folder.glob("*.onnx")}
    return folder
