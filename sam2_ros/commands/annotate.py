"""sam2_ros annotate: people and model annotate recordings together, from a bag to better weights."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; see the sam2 node

import sys
from importlib import import_module
from typing import NamedTuple

from sam2_ros.command_line import typed, unknown
from sam2_ros.commands.grouped_help import grouped_help
from sam2_ros.requirements import require


class Action(NamedTuple):
    """An action: a function in a module of `sam2_ros.commands.annotation` and, by the same name, its options."""

    module: str
    summary: str


GROUPS: dict[str, dict[str, Action]] = {
    "Begin": {
        "new": Action("new_project", "a project for a recording; --propose: with everything that can be found in it"),
    },
    "Annotate": {
        "prompt": Action("pointing", "clicks or a box on a frame: a new object, or a correction"),
        "draw": Action("pointing", "a mask by hand, from an image file; or: it is not visible there"),
        "propagate": Action("pointing", "follow an object from a frame on, to both ends of the recording"),
        "label": Action("changes", "name an object, and give it attributes"),
        "remove": Action("changes", "forget the mask of an object on a frame"),
        "undo": Action("changes", "undo your last action"),
        "redo": Action("changes", "do it again"),
    },
    "Look": {
        "show": Action("overview", "objects, work and timings; pictures of frames and of objects"),
        "log": Action("changes", "who did what, when"),
    },
    "Verify": {
        "verify": Action("verdicts", "what waits for your verdict, and verdicts"),
    },
    "Use": {
        "export": Action("data_set", "verified masklets as a data set, or as bags"),
        "fine-tune": Action("", "train a model on them, and judge it before and after"),
    },
}
"""All actions by name, as the help lists them."""

ACTIONS: dict[str, Action] = {name: action for group in GROUPS.values() for name, action in group.items()}

EXAMPLES = """\
  {program} new run1                                         (makes run1.annotation)
  {program} prompt run1.annotation --at 4.5s --click 640,360 --label cup
  {program} propagate run1.annotation 1
  {program} verify run1.annotation 1 satisfactory --by ben
  {program} export run1.annotation --out data --format sav
"""


def main() -> int:
    """Does the action that the first argument names. Returns the exit status."""
    program = typed("sam2_ros.commands.annotate")
    name, *arguments = sys.argv[1:] or [""]
    if name in ("-h", "--help", "help", ""):
        print(help_of(program), end="")
        return 0 if name else 2
    if name not in ACTIONS:
        print(f"annotate: {unknown('action', name, ACTIONS, program)}", file=sys.stderr)
        return 2
    if name == "fine-tune":
        require("train")
        sys.argv = [f"{program} {name}", *arguments]
        return int(import_module("sam2_ros.annotation.fine_tune").main())
    options = import_module("sam2_ros.commands.annotation.options").parse(name, program, arguments)
    try:
        running = import_module("sam2_ros.commands.annotation.running")  # PyTorch takes seconds; --help is without it
        return int(running.run(name, ACTIONS[name].module, options))
    except KeyboardInterrupt:
        return 130


def help_of(program: str) -> str:
    """The help of the whole command."""
    summaries = {title: {name: one.summary for name, one in actions.items()} for title, actions in GROUPS.items()}
    about = "People and model annotate a recording together. A project, a folder, holds all that they said."
    more = f"{program} ACTION --help says more of each."
    return grouped_help(f"{program} ACTION ...", about, summaries, EXAMPLES, program, more)


if __name__ == "__main__":
    require("annotate")
    sys.exit(main())
