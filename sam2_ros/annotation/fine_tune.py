"""`python -m sam2_ros.annotation.fine_tune PROJECT ... --out OUT`: from annotation projects to new weights."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; see the sam2 node

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("train")  # before the imports that would fail

import argparse
import shlex
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sam2_ros.annotation.fine_tuning import PICTURE, FineTuned, fine_tune
from sam2_ros.annotation.held_out import SHARE
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.command_line import MODELS, CommandParser, Rare
from sam2_ros.data.mcap_file import NO_ROOM
from sam2_ros.evaluation.prompts import KINDS
from sam2_ros.model.config import CONFIGS

DESCRIPTION = "Trains a model on the verified masklets of annotation projects, and tells what it was worth."
EXAMPLES = """
%(prog)s kitchen-1 kitchen-2 kitchen-3 --out tuned
%(prog)s projects/* --out tuned --minutes 30 --checkpoint sam2.1_hiera_tiny.pt
"""


def arguments() -> argparse.ArgumentParser:
    usage = "%(prog)s PROJECT ... --out OUT [options]"
    parser = CommandParser("sam2_ros.annotation.fine_tune", DESCRIPTION, EXAMPLES, usage, rare=True)
    parser.add_argument("projects", type=Path, nargs="+", metavar="PROJECT", help="folders of annotation projects")
    out = "folder for the new weights, their report, checkpoints and logs; resumes what is there"
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help=out)
    model = f"{MODELS} (default: the one that --checkpoint fits)"
    parser.add_argument("--model", choices=CONFIGS, metavar="NAME", help=model)
    checkpoint = "weights to start from (default: the model's released ones)"
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help=checkpoint)
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU if there is one)")

    training = parser.add_argument_group("training")
    training.add_argument("--minutes", type=float, metavar="X", help="length (default: that of the recipe)")
    training.add_argument("--steps", type=int, metavar="N", help="length in steps")
    training.add_argument("--size", type=int, metavar="N", help="images have about N x N pixels (default: the model's)")
    training.add_argument("--frames", type=int, metavar="N", help=Rare("frames of each clip"))
    training.add_argument("--clips", type=int, metavar="N", help=Rare("clips in a batch"))
    training.add_argument("--lr", type=float, metavar="X", help=Rare("learning rate"))
    training.add_argument("--workers", type=int, metavar="N", help=Rare("processes that make samples"))
    recipe = "default: fine-tuning-default for the default model, else fine-tuning"
    training.add_argument("--recipe", metavar="NAME|FILE", help=recipe)
    training.add_argument("--no-iou-head", action="store_true", help=Rare("don't fit the head that rates masks"))

    data = parser.add_argument_group("what is learnt from, and judged by")
    share = "share of the recordings that is held out to judge by (%(default)s)"
    data.add_argument("--held-out", type=float, default=SHARE, metavar="X", help=share)
    prompt = f"of the comparison: {', '.join(KINDS)} (%(default)s)"
    data.add_argument("--prompt", choices=KINDS, default="click", metavar="KIND", help=prompt)
    recordings = "where recordings are now that were moved"
    data.add_argument("--recordings", type=Path, nargs="+", default=[], metavar="FOLDER", help=recordings)
    data.add_argument("--images", metavar="TOPIC", help="image topic of bags with several")
    return parser


def changes_of(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The settings that options replace, by table of the recipe."""
    tables = {"stage": ("minutes", "steps", "size", "frames", "clips", "workers"), "learning": ("lr",)}
    given = vars(options)
    return {table: {name: given[name] for name in names if given[name] is not None} for table, names in tables.items()}


def main() -> int:
    options = arguments().parse_args()
    if options.minutes is not None and options.steps is not None:
        print("error: give --minutes or --steps, not both", file=sys.stderr)
        return 2
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr, flush=True)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for kind in (signal.SIGINT, signal.SIGTERM):  # finish the current step, then write the checkpoint
        signal.signal(kind, stop)
    columns = TextColumn("{task.description:<18}"), BarColumn(40), TextColumn("{task.percentage:3.0f} %")
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def advance(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=1.0)
            bar.update(tasks[what], completed=share)

        try:
            tuned = fine_tune(
                options.projects,
                options.out,
                model=options.model,
                init=options.checkpoint,
                recipe=options.recipe,
                changes=changes_of(options),
                share=options.held_out,
                iou_head=not options.no_iou_head,
                prompt=options.prompt,
                recordings=options.recordings,
                images=options.images,
                device=options.device,
                on_progress=advance,
                cancelled=lambda: stopped,
            )
        except (CheckpointError, OSError, ValueError) as error:
            bar.stop()
            print(f"error: {_remedy(error)}", file=sys.stderr)
            return 2
    if tuned is None:
        print(f"stopped; the same command resumes from what is in {options.out}", file=sys.stderr)
        return 130
    _tell(tuned)
    return 0


def _remedy(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return f"{error}: make room and give the same command again; it resumes from the last checkpoint"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} is no folder; give another --out"
    return str(error)


def _tell(tuned: FineTuned) -> None:
    weights = shlex.quote(str(tuned.weights))
    print(tuned.verdict)
    for note in tuned.notes:
        print(f"  {note}")
    print(f"  report        {tuned.report}, {tuned.report.with_name(PICTURE)}")
    print(f"  on the robot  ros2 launch sam2_ros sam2.launch.py checkpoint:={weights} image:=...")
    print(f"  on recordings sam2_ros track RECORDING --checkpoint {weights} ...")


if __name__ == "__main__":
    sys.exit(main())
