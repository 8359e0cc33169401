"""The options of `sam2_ros desk RECORDING`. Imports nothing that takes time."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam2_ros.command_line import MODELS, Rare
from sam2_ros.model.config import CONFIGS

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
    group.add_argument("--model", choices=CONFIGS, metavar="NAME", help=MODELS)
    weights = "weights, or a folder of exported graphs"
    group.add_argument("--checkpoint", type=Path, metavar="FILE", help=weights)
    size = "input of about N x N pixels (default: the model's)"
    group.add_argument("--size", type=int, metavar="N", help=Rare(size))
    group.add_argument("--aspect", metavar="W:H", help=Rare("of the input; `image`: that of each image"))
    group.add_argument("--device", help="cpu, cuda, ... (default: the GPU if there is one)")
