"""Fixtures of the live desk's tests: real nodes and a desk in this process, over DDS and sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from desk_page import DeskPage
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from robot import Graph, Robot
from small_network import default_network

from sam2_ros.checkpoints.save import save_weights
from sam2_ros.desk.live.backend import LiveBackend
from sam2_ros.desk.live.node import DeskNode
from sam2_ros.desk.live.ros_thread import RosThread
from sam2_ros.ros.node import Sam2Node

TIMEOUT = 60.0  # s


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small network that always sees its objects."""
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(default_network(), path)
    return path


@pytest.fixture
def make_sam2(graph: Graph, checkpoint: Path) -> Callable[..., Sam2Node]:
    """Starts a sam2 node with these parameters."""
    return lambda **parameters: graph.sam2(checkpoint=str(checkpoint), image_size=64, threads=1, **parameters)


@pytest.fixture
def sam2(make_sam2: Callable[..., Sam2Node], robot: Robot) -> Sam2Node:
    """An active node with one camera, connected to the robot."""
    node = make_sam2()
    robot.wait_until_connected()
    return node


class Desk:
    """A desk in this process."""

    def __init__(self, graph: Graph, parameters: dict[str, Any]) -> None:
        overrides = [Parameter(name, value=value) for name, value in {"port": 0, **parameters}.items()]
        self.node = DeskNode(context=graph.context, parameter_overrides=overrides)
        self._ros = RosThread(self.node, SingleThreadedExecutor(context=graph.context))
        self.backend = LiveBackend(self._ros, self.node.settings, "1.2.3")
        self.server = self.node.server(self.backend)
        self._thread = threading.Thread(target=self._ros.spin)
        self._thread.start()
        self.server.start()

    def close(self) -> None:
        self.server.stop()
        self._ros.stop()
        self._thread.join(TIMEOUT)
        self.node.destroy_node()


@pytest.fixture
def make_desk(graph: Graph) -> Iterator[Callable[..., Desk]]:
    """Starts a desk with these parameters."""
    desks: list[Desk] = []

    def make(**parameters: Any) -> Desk:
        desks.append(Desk(graph, parameters))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


@pytest.fixture
def page(desk: Desk) -> Iterator[DeskPage]:
    """A page of the desk."""
    with DeskPage(desk.server.url) as page:
        yield page
