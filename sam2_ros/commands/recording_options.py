"""The options of `sam2_ros desk RECORDING`. Imports nothing that takes time."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam2_ros.command_line import Rare
from sam2_ros.commands.shared_options import add_model

MODEL = ("model", "checkpoint", "size", "aspect", "device")
"""Those of the model."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a desk over a recording needs to know beside the recording."""
    group = parser.add_argument_group("over a recording")
    project = "folder of its annotation project (default: RECORDING.annotation)"
    group.add_argument("--project", type=Path, metavar="FOLDER", help=project)
    annotator = "who annotates, unless the page says otherwise (default: your login name)"
    group.add_argument("--annotator", metavar="NAME", help=annotator)
    group.add_argument("--images", metavar="TOPIC", help="of a bag with several topics of images")
    group.add_argument("--fps", type=float, metavar="N", help=Rare("images a second, of a folder or a video"))
    phase_1 = "frames a second that are annotated one by one in phase 1, of a new project (default: 6)"
    group.add_argument("--annotated-fps", type=float, default=6.0, metavar="N", help=Rare(phase_1))
    add_model(group, "cpu, cuda, ... (default: the GPU if there is one)")
