"""The `sam2_ros` command: finds the command that is named, and starts it. Imports nothing that takes time itself."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import NamedTuple

from sam2_ros.commands.grouped_help import grouped_help
from sam2_ros.requirements import require
from sam2_ros.version import version

PROGRAM = "sam2_ros"


class Command(NamedTuple):
    """A command: a module with a function `main() -> int`, which reads `sys.argv`."""

    module: str
    summary: str
    needs_ros: bool = False


GROUPS: dict[str, dict[str, Command]] = {
    "In the browser, live or over recordings": {
        "desk": Command("sam2_ros.commands.desk", "point, watch and correct; annotate recordings"),
    },
    "Recordings and pictures": {
        "track": Command("sam2_ros.commands.track", "follow things through a bag, a video or a folder of images"),
        "fleet": Command("sam2_ros.commands.fleet", "many recordings at once, on this machine or on a cluster"),
        "annotate": Command("sam2_ros.commands.annotate", "masks by people and model, verified, for training"),
        "segment": Command("sam2_ros.commands.segment", "everything in pictures, or what is pointed at"),
    },
    "Live, with ROS 2 (or: ros2 run sam2_ros COMMAND)": {
        "demo": Command("sam2_ros.ros.demo.__main__", "a whole robot: camera, node, recorder, one click", True),
        "sam2": Command("sam2_ros.ros.node", "the node: images and prompts in, masklets out", True),
        "prompt": Command("sam2_ros.ros.prompter", "point at something, by click, box or mask", True),
        "camera": Command("sam2_ros.ros.camera", "play a video, images or a webcam as a camera", True),
        "record": Command("sam2_ros.ros.recorder", "write topics into a bag", True),
        "follow": Command("sam2_ros.ros.follow", "send nav2 to an object", True),
    },
    "Models": {
        "train": Command("sam2_ros.training.__main__", "train, or fine-tune on your own recordings"),
        "evaluate": Command("sam2_ros.evaluation.__main__", "accuracy of a model, or of another tracker's masks"),
        "export": Command("sam2_ros.deployment.__main__", "ONNX graphs, for machines without Python"),
        "average": Command("sam2_ros.training.average", "the mean of several trainings, or of before and after"),
        "iou-head": Command("sam2_ros.training.iou_head", "fit how a model rates its own masks"),
    },
    "Data": {
        "scenes": Command("sam2_ros.scenes.sheet", "look at generated scenes, or at a data set: a contact sheet"),
        "pictures": Command("sam2_ros.scenes.pictures", "prepare photographs that scenes are made of"),
        "recover": Command("sam2_ros.data.recovery", "complete bags after kill -9 or a power failure"),
    },
}
"""All commands by name, as the help lists them."""

COMMANDS: dict[str, Command] = {name: command for group in GROUPS.values() for name, command in group.items()}

EXAMPLES = """\
  {program} track clip.mp4 --click 640,360 --out tracked
  {program} segment photos --out masks
  {program} evaluate --suite
"""


def main() -> int:
    """Starts the command that the first argument names. Returns the exit status."""
    program = PROGRAM if os.path.basename(sys.argv[0]) != "__main__.py" else f"python -m {PROGRAM}"
    name, *arguments = sys.argv[1:] or [""]
    if name == "help" and arguments:
        name, *arguments = arguments[0], "--help"
    if name in ("-h", "--help", "help", ""):
        try:
            print(help_of(program), end="", flush=True)
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if name else 2
    if name in ("-V", "--version", "version"):
        print(f"{PROGRAM} {version()}")
        return 0
    if name not in COMMANDS:
        from sam2_ros.command_line import unknown  # argparse takes time

        print(f"{program}: {unknown('command', name, COMMANDS, program)}", file=sys.stderr)
        return 2
    return run(name, program, arguments)


def run(name: str, program: str, arguments: list[str] | None = None) -> int:
    """Runs a command, and returns its exit status.

    Args:
        name: of the command.
        program: the words before its name: `sam2_ros`, or `ros2 run sam2_ros`.
        arguments: those after it; None: those of this process.
    """
    command = COMMANDS[name]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # a label or a file's name must not end a finished run
    sys.argv = [f"{program} {name}", *(sys.argv[1:] if arguments is None else arguments)]
    # Python would raise KeyboardInterrupt in the middle of an import. (The first process of a container would not end
    # by the default action.)
    handler = signal.getsignal(signal.SIGINT)
    if os.getpid() > 1 and handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if command.needs_ros:
        try:
            import_module("sam2_ros.ros")
        except ImportError as error:
            sys.exit(f"{name}: {error}")
    require(name)  # before the imports that would fail
    start = import_module(command.module).main
    if command.needs_ros:  # it listens to signals as soon as ROS does
        return start()
    signal.signal(signal.SIGINT, handler)
    try:
        return start()
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130


def help_of(program: str) -> str:
    """The help of the whole command."""
    summaries = {title: {name: one.summary for name, one in commands.items()} for title, commands in GROUPS.items()}
    about = "SAM 2 for robots: point at a thing once, and every image says where it is."
    more = f"{program} COMMAND --help says more of each. {program} --version"
    return grouped_help(f"{program} COMMAND ...", about, summaries, EXAMPLES, program, more)
