"""The node of the live desk: its parameters, and its server."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("desk")  # before the imports that would fail

import sys
from collections.abc import Mapping
from typing import Any

import cv2
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam2_ros.desk.backend import Backend
from sam2_ros.desk.live.backend import LiveBackend
from sam2_ros.desk.live.ros_thread import RosThread
from sam2_ros.desk.live.settings import Settings
from sam2_ros.desk.server import Server
from sam2_ros.desk.token_file import read_or_make_token
from sam2_ros.ros import process
from sam2_ros.ros.declaration import declare
from sam2_ros.ros.parameters import DESK_PARAMETERS, Value
from sam2_ros.version import version


class DeskNode(Node):
    """Has the desk's parameters.

    Raises:
        ValueError: a parameter is not accepted.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("desk", **kwargs)
        declare(self, DESK_PARAMETERS)

    @property
    def settings(self) -> Settings:
        """The parameters but those of the address."""
        names = Settings.__dataclass_fields__
        return Settings(**{name: self.get_parameter(name).value for name in names})

    def server(self, backend: Backend) -> Server:
        """The server at the address in the parameters.

        Raises:
            CannotListen: it is in use, or not of this machine.
            ValueError or OSError: the file with the token is wrong.
        """
        host, port, file = (self.get_parameter(name).value for name in ("host", "port", "token_file"))
        return Server(backend, host, port, read_or_make_token(file) if file else None)


def run(parameters: Mapping[str, Value]) -> int:
    """Serves the page of all cameras until Ctrl-C. Returns the exit status.

    Args:
        parameters: of the node, before those in the arguments of this process.
    """
    return process.run("desk", lambda: _run(parameters))


def _run(parameters: Mapping[str, Value]) -> int:
    cv2.setNumThreads(1)  # pictures are small, and the robot's cores are for others
    try:
        node = DeskNode(parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()])
        ros = RosThread(node, SingleThreadedExecutor())
        server = node.server(LiveBackend(ros, node.settings, version()))
    except Exception as error:  # a parameter of the wrong type or out of range; the port is in use
        if rclpy.ok():  # otherwise a signal has arrived in the meantime
            print(f"desk: {error}", file=sys.stderr)
            return 1
        return 0
    server.start()
    print(f"desk: {server.url}", flush=True)
    try:
        ros.spin()
    finally:
        server.stop()
        node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(run({}))
