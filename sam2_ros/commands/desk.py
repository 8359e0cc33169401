"""`sam2_ros desk`: a page in the browser to point, watch and correct, on a robot or over a recording."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("desk")  # before the imports that would fail

import argparse
import sys
from importlib import import_module

from sam2_ros.command_line import CommandParser
from sam2_ros.commands.recording_options import add_options

DESCRIPTION = """A page in the browser to point, watch and correct.

Without a recording: all cameras that sam2 nodes track on this robot (ROS_DOMAIN_ID), live. It finds them by itself.
With one: its annotation project, which is made beside it."""
EXAMPLES = """
%(prog)s                          (the robot's cameras)
%(prog)s --host 0.0.0.0           (for other machines too: prints an address with a token)
%(prog)s clip.mp4
"""
ROS_ARGUMENTS = "--ros-args"


def main() -> int:
    """Starts the desk over a recording if one is named, otherwise over the cameras of the robot."""
    arguments = sys.argv[1:]
    own = arguments[: arguments.index(ROS_ARGUMENTS)] if ROS_ARGUMENTS in arguments else arguments
    parsed = parser()
    options = parsed.parse_args(own)
    if options.demo and options.recording is not None:
        parsed.error("--demo is for a desk without a recording")
    return live(options) if options.recording is None else recorded(options)


def parser() -> CommandParser:
    """The options of both."""
    parser = CommandParser("sam2_ros.commands.desk", DESCRIPTION, EXAMPLES, "%(prog)s [RECORDING] [options]", rare=True)
    recording = "a bag, a video, a folder of images, or its annotation project"
    parser.add_argument("recording", nargs="?", metavar="RECORDING", help=recording)
    host = "address to serve on; 0.0.0.0: for other machines, too, with a token (default: 127.0.0.1)"
    parser.add_argument("--host", help=host)
    parser.add_argument("--port", type=int, help="port to serve on; 0: any free one (default: 8642)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address of a recording's page")
    parser.add_argument("--demo", action="store_true", help="with a camera and a node of its own, that show a scene")
    add_options(parser)
    return parser


def live(options: argparse.Namespace) -> int:
    """The desk over the cameras that sam2 nodes track, or over a demo. Needs ROS."""
    try:
        import_module("sam2_ros.ros")
    except ImportError as error:
        sys.exit(f"desk: {error} For a recording: {sys.argv[0]} BAG|VIDEO|FOLDER")
    parameters = {name: value for name in ("host", "port") if (value := getattr(options, name)) is not None}
    if options.demo:
        require("demo")
    room = "demo" if options.demo else "node"
    return int(import_module(f"sam2_ros.desk.live.{room}").run(parameters))


def recorded(options: argparse.Namespace) -> int:
    """The desk over a recording: its annotation project."""
    require("annotate")
    return int(import_module("sam2_ros.commands.recording_desk").run(options))


if __name__ == "__main__":
    sys.exit(main())
