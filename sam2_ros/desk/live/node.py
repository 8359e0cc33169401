"""`desk`: a page in the browser to point, watch and correct, for all cameras that sam2 nodes track.

ros2 run sam2_ros desk --ros-args -p port:=8642
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from sam2_ros.command_line import CommandParser
from sam2_ros.desk.backend import Backend
from sam2_ros.desk.live.backend import LiveBackend
from sam2_ros.desk.live.ros_thread import RosThread
from sam2_ros.desk.live.settings import Settings
from sam2_ros.desk.server import Server
from sam2_ros.ros import process
from sam2_ros.ros.declaration import declare
from sam2_ros.ros.parameters import DESK_PARAMETERS
from sam2_ros.commands.main import version

DESCRIPTION = """The operator's desk: a page in the browser to point, watch and correct, for all cameras that sam2 nodes
track.

It finds the cameras by itself. Parameters are given as --ros-args -p NAME:=VALUE; docs/parameters.md lists them."""
EXAMPLES = """
%(prog)s
%(prog)s --ros-args -p host:=0.0.0.0        (for other machines too: prints an address with a token)
"""


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
        """The server at the address in the parameters. Raises CannotListen."""
        return Server(backend, self.get_parameter("host").value, self.get_parameter("port").value)


def main() -> int:
    usage = "%(prog)s [-h] [--ros-args -p NAME:=VALUE ...]"
    CommandParser("sam2_ros.desk.live.node", DESCRIPTION, EXAMPLES, usage).parse_args(process.own_arguments("desk"))
    return process.run("desk", _run)


def _run() -> int:
    cv2.setNumThreads(1)  # pictures are small, and the robot's cores are for others
    try:
        node = DeskNode()
        ros = RosThread(node, SingleThreadedExecutor())
        server = node.server(LiveBackend(ros, node.settings, version()))
    except Exception as error:  # a parameter of the wrong type or out of range; the port is in use
        if rclpy.ok():  # otherwise a signal has arrived in the meantime
            print(f"desk: {error}", file=sys.stderr)
            return 1
        return 0
    server.start()
    print(f"The desk: {server.url}", flush=True)
    try:
        ros.spin()
    finally:
        server.stop()
        node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
