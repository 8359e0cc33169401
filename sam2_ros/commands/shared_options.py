"""Options that several commands have: the model, and how everything is found. Imports nothing that takes time."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam2_ros.command_line import MODELS, Rare
from sam2_ros.model.config import CONFIGS

DEVICE = "cpu, cuda, ...; default: the GPU if there is one"


def add_model(group: argparse._ArgumentGroup, device: str = DEVICE) -> None:
    """The options that `loaded_model` reads.

    Args:
        device: help of `--device`.
    """
    group.add_argument("--model", choices=CONFIGS, metavar="NAME", help=MODELS)
    group.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights, or a folder of exported graphs")
    group.add_argument("--size", type=int, metavar="N", help="input of about N x N pixels; default: the model's")
    group.add_argument("--aspect", metavar="W:H", help=Rare("of the input; `image`: that of each image"))
    group.add_argument("--device", help=device)


def add_search(group: argparse._ArgumentGroup, prefix: str = "") -> None:
    """The options of a search for everything (`AutomaticMaskletSettings`).

    Args:
        prefix: before their helps: with which option they count.
    """
    for option, number, default, metavar, text in (
        ("--max-objects", int, 32, "N", "objects that are followed at once; more are in further passes; default: 32"),
        ("--max-masklets", int, 256, "N", "objects in all; default: 256"),
        ("--period", int, None, "N", "images from one search to the next; default: about a second"),
        ("--coverage", float, 0.9, "SHARE", "search where masklets cover less of the image; default: 0.9"),
    ):
        group.add_argument(option, type=number, default=default, metavar=metavar, help=Rare(prefix + text))
