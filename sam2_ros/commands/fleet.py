"""sam2_ros fleet: the work of `track` and `evaluate` on many recordings at once, on Ray."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("fleet")  # before imports that would fail

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; workers inherit it

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sam2_ros.command_line import CommandParser, Rare
from sam2_ros.commands.shared_options import add_model, add_search
from sam2_ros.commands.track import FORMATS

ACTIONS = ("everything", "track", "evaluate")
KINDS = ("click", "3clicks", "5clicks", "box", "mask")
"""Of prompts, in evaluations."""

EXAMPLES = """
%(prog)s everything bags --out masklets --workers 2
%(prog)s everything bags --stretch 60 --address auto --gpus-per-task 0.5
%(prog)s track bags --checkpoint new.safetensors --out again
%(prog)s evaluate annotated-bags --prompt click box
"""


def parser() -> argparse.ArgumentParser:
    description = (
        "The work of `track` and `evaluate` on many recordings at once, by worker processes on this machine or on a Ray"
        " cluster. Results are those of one machine. Stopped at any moment, the same command goes on where it was."
    )
    usage = "%(prog)s {everything,track,evaluate} RECORDING... [options]"
    options = CommandParser("sam2_ros.commands.fleet", description, EXAMPLES, usage, rare=True)
    options.add_argument(
        "action", choices=ACTIONS, metavar="ACTION",
        help="everything: automatic masklets. track: the prompts in the bags, or in NAME.prompts.json beside a"
        " recording, followed with this model. evaluate: J&F on annotated recordings",
    )  # fmt: skip
    recordings = "bags, videos, folders of images, or folders of them; for evaluate: data sets"
    options.add_argument("recordings", metavar="RECORDING", nargs="+", type=Path, help=recordings)
    options.add_argument("--images", metavar="TOPIC", help="of bags with several topics of images")
    options.add_argument("--fps", type=float, metavar="N", help=Rare("images a second, of folders and videos"))
    options.add_argument("--masklets", metavar="TOPIC", help=Rare("evaluate: of bags with several"))

    workers = options.add_argument_group("workers")
    workers.add_argument("--workers", type=int, metavar="N", help="default: one a GPU; without GPUs, one for two CPUs")
    workers.add_argument("--address", metavar="ADDRESS", help="of a Ray cluster: auto, or HOST:PORT; default: none")
    workers.add_argument("--gpus-per-task", type=float, metavar="F", help="of each worker: 0.5: two share one")
    retries = "how often a piece is tried again whose worker was killed; default: 3"
    threads = "of each worker; default: its part of the CPUs. Fixed, it gives the same bytes for any number of workers"
    workers.add_argument("--threads", type=int, metavar="N", help=Rare(threads))
    workers.add_argument("--retries", type=int, default=3, metavar="N", help=Rare(retries))

    what = options.add_argument_group("everything and track")
    stretch = "everything: pieces of about so many seconds, each on its own; default: whole recordings"
    what.add_argument("--stretch", type=float, metavar="SECONDS", help=stretch)
    add_search(what, "everything: ")
    backward = "track: also back to the first image; default: prompts of files, not of bags"
    what.add_argument("--backward", action=argparse.BooleanOptionalAction, default=None, help=Rare(backward))
    what.add_argument(
        "--format", nargs="+", action="extend", choices=(*FORMATS, "none"), metavar="NAME",
        help=f"one or more of {', '.join(FORMATS)}, or none; default: bag",
    )  # fmt: skip
    what.add_argument("--masklets-only", action="store_true", help="bags without the original messages")

    evaluation = options.add_argument_group("evaluate")
    evaluation.add_argument(
        "--prompt", nargs="+", choices=KINDS, metavar="KIND", help=f"one or more of {', '.join(KINDS)}; default: click"
    )

    results = options.add_argument_group("results and model")
    results.add_argument("--out", type=Path, default=Path("fleet"), metavar="FOLDER", help="default: fleet")
    results.add_argument("--restart", action="store_true", help="forget what is in the folder, and begin again")
    add_model(results, Rare("cpu, cuda; default: the GPU if workers have one"))
    return options


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line. Exits if some are incompatible."""
    options_parser = parser()
    options = options_parser.parse_args(arguments)
    action = options.action
    if options.stretch is not None and action != "everything":
        options_parser.error("--stretch needs everything: prompted objects go on through the whole recording")
    if options.stretch is not None and not options.stretch > 0:
        options_parser.error(f"--stretch must be more than 0 seconds, not {options.stretch:g}")
    if options.prompt and action != "evaluate":
        options_parser.error("--prompt needs evaluate; track finds prompts in bags, or in NAME.prompts.json beside")
    if options.backward is not None and action != "track":
        options_parser.error("--backward and --no-backward need track")
    if action == "evaluate" and (options.format or options.masklets_only or options.fps):
        options_parser.error("--format, --masklets-only and --fps are for everything and track")
    if options.masklets and action != "evaluate":
        options_parser.error("--masklets needs evaluate")
    if options.workers is not None and options.workers < 1:
        options_parser.error("--workers must be 1 or more")
    if options.threads is not None and options.threads < 1:
        options_parser.error("--threads must be 1 or more")
    if options.retries < 0:
        options_parser.error("--retries must be 0 or more")
    formats = list(dict.fromkeys(options.format or ["bag"]))
    if "none" in formats and len(formats) > 1:
        options_parser.error("--format none excludes others")
    options.format = [name for name in formats if name != "none"]
    if options.masklets_only and "bag" not in options.format:
        options_parser.error("--masklets-only is about the bag; add `bag` to --format")
    options.prompt = list(dict.fromkeys(options.prompt or ["click"]))
    return options


def main(arguments: list[str] | None = None) -> int:
    """Works on all recordings. Returns the exit status.

    Args:
        arguments: None: those of this process.
    """
    options = parse(arguments)
    try:
        from sam2_ros.commands.fleet_run import run  # PyTorch takes seconds, and --help doesn't need it
    except KeyboardInterrupt:
        return 130
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
