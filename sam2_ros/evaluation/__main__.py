"""python -m sam2_ros.evaluation: scores a model, or the masks of any other tracker, on clips with known masks."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("evaluate")  # before imports that would fail

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; see the sam2 node

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_model
from sam2_ros.command_line import MODELS, CommandParser, Rare, typed
from sam2_ros.data.label_values import MEANINGS
from sam2_ros.evaluation.clip_options import add_clip_options, check_clip_options, data_warnings, find_clips
from sam2_ros.evaluation.interactive import MODES, ROUNDS
from sam2_ros.evaluation.prompts import KINDS
from sam2_ros.evaluation.report import Report, model_settings
from sam2_ros.evaluation.run import Run
from sam2_ros.model.config import CONFIGS

STILLS = ("image", "everything")
"""Protocols that take each frame on its own."""
EXAMPLES = """
%(prog)s --suite
%(prog)s --davis DAVIS --split 2017/val --prompt click 3clicks 5clicks box mask
%(prog)s --data sav_val --protocol offline --model sam2.1_hiera_tiny
%(prog)s --suite --protocol everything --every 24
%(prog)s --davis DAVIS --masks results/cutie
"""


def arguments() -> argparse.ArgumentParser:
    description = "Scores a model, or the masks of any other tracker, on clips with known masks."
    usage = "%(prog)s (--suite | --davis FOLDER | --data PATH) [options]   (--help lists them)"
    parser = CommandParser("sam2_ros.evaluation", description, EXAMPLES, usage, rare=True)
    add_clip_options(parser)

    protocol = parser.add_argument_group("protocol")
    protocol.add_argument(
        "--protocol",
        choices=("vos", *MODES, *STILLS, "masklets"),
        metavar="NAME",
        help="vos: prompt once and track (the default). offline, online: correct up to 8 frames. image: single frames,"
        " 1 to 5 clicks. everything: automatic masks of frames. masklets: automatic masklets of clips",
    )
    protocol.add_argument(
        "--prompt", nargs="+", choices=KINDS, metavar="KIND",
        help=f"vos: kinds of prompts, one or more of {', '.join(KINDS)} (default: click)",
    )  # fmt: skip
    protocol.add_argument(
        "--non-overlap", action="store_true",
        help=Rare(
            "vos: each pixel belongs to one object at most, as in Meta's results for DAVIS, MOSE and YouTube-VOS"
        ),
    )  # fmt: skip
    protocol.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help=Rare(f"offline, online: maximum number of annotated frames (default: {ROUNDS})"),
    )
    protocol.add_argument(
        "--every",
        type=int,
        metavar="N",
        help=Rare("image, everything: every N-th annotated frame of a clip (default: 5)"),
    )
    protocol.add_argument(
        "--masks", type=Path, metavar="FOLDER",
        help="score another tracker's PNG masks: FOLDER/<clip>/00000.png with an ID in each pixel, or"
        " FOLDER/<clip>/<object>/00000.png",
    )  # fmt: skip
    protocol.add_argument("--answer-values", choices=MEANINGS, help=Rare("as --mask-values, for the files of --masks"))

    model_options = parser.add_argument_group("model")
    model_options.add_argument(
        "--model", choices=CONFIGS, metavar="NAME",
        help=f"{MODELS} (default: the one that the checkpoint fits)",
    )  # fmt: skip
    weights = "Meta's .pt, our or Hugging Face's .safetensors, or exported graphs"
    model_options.add_argument("--checkpoint", type=Path, metavar="FILE", help=weights)
    model_options.add_argument(
        "--size", type=int, metavar="N", help="input size: about N x N pixels; default: the model's"
    )
    model_options.add_argument(
        "--aspect", metavar="W:H", help=Rare("of the input; `image`: that of each image; default: the model's")
    )
    model_options.add_argument("--device", help="cpu, cuda, ... (default: the GPU if there is one)")

    results = parser.add_argument_group("results")
    results.add_argument("--out", type=Path, metavar="FOLDER", default=Path("evaluation"), help="default: evaluation")
    results.add_argument("--overlays", action="store_true", help="also write every frame with its masks as PNG")
    results.add_argument("--save-masks", action="store_true", help="vos: also write the masks, as the data set does")
    return parser


def parse_options() -> argparse.Namespace:
    """The options of the command line with their defaults. Exits if some are incompatible."""
    parser = arguments()
    options = parser.parse_args()
    if options.masks:
        model = "model", "checkpoint", "size", "aspect", "device"
        for name in ("protocol", "prompt", *model, "save_masks", "non_overlap"):
            if getattr(options, name):
                parser.error(f"--{name.replace('_', '-')} can't be used with --masks, which runs no model")
    elif options.answer_values:
        parser.error("--answer-values needs --masks")
    check_clip_options(parser, options)
    options.protocol = options.protocol or "vos"
    needed = dict.fromkeys(("prompt", "non_overlap", "save_masks"), ("vos",))
    for name, of in {**needed, "rounds": MODES, "every": STILLS}.items():
        if getattr(options, name) and options.protocol not in of:
            parser.error(f"--{name.replace('_', '-')} needs --protocol {' or '.join(of)}")
    options.prompt = list(dict.fromkeys(options.prompt or ["click"]))
    for name, default in (("rounds", ROUNDS), ("every", 5)):
        if getattr(options, name) is None:
            setattr(options, name, default)
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    return options


def evaluate(options: argparse.Namespace, console: Console) -> Report:
    """Run the protocol that the options select. Raises CheckpointError, ClipError, OSError, ValueError, MemoryError."""
    clips, name_of_clips = find_clips(options)
    challenges = {name: name.rsplit("-", 1)[0] for name in clips.names} if options.suite else {}
    run = Run(clips, challenges, options.out, options.overlays, console, options.strict)
    command = f"{typed('sam2_ros.evaluation')} {shlex.join(sys.argv[1:])}"
    if options.masks:
        if not options.masks.is_dir():
            raise ValueError(f"{options.masks}: no such folder of masks (--masks)")
        settings = {"masks": str(options.masks), "clips": name_of_clips, "command": command}
        return run.masks(options.masks, settings, options.answer_values)
    model = load_model(options.model, options.checkpoint, options.device, options.size, options.aspect)
    settings = {
        **model_settings(model, options.checkpoint),
        "clips": name_of_clips,
        "protocol": options.protocol,
        "command": command,
    }
    if options.protocol in STILLS:
        protocol = run.image if options.protocol == "image" else run.everything
        return protocol(model, options.every, {**settings, "every": str(options.every)})
    if options.protocol == "masklets":
        return run.masklets(model, settings)
    if options.protocol in MODES:
        return run.interactive(model, options.protocol, options.rounds, settings)
    settings |= {"prompt": ", ".join(options.prompt), "overlap": "not allowed" if options.non_overlap else "allowed"}
    return run.vos(model, options.prompt, settings, options.save_masks, options.non_overlap)


def main() -> int:
    options = parse_options()
    console = Console()
    console.width = max(console.width, 110)  # tables in a file would be cut to 80 columns
    try:
        with data_warnings(console) as messages:
            report = evaluate(options, console)
        report = replace(report, notes=[*report.notes, *messages])
        report.save(options.out)
    except (CheckpointError, OSError, ValueError, MemoryError) as error:
        console.print("[bold red]error:[/]", Text(str(error)), highlight=False, soft_wrap=True)
        return 2
    report.print(console)
    wrote = "scores.md, scores.json, curves.png and pictures"
    try:
        from sam2_ros.evaluation import curves

        title = f"{report.settings.get('model', report.settings.get('masks'))}, {report.settings['clips']}"
        curves.draw(report.curves, title, options.out / "curves.png")
    except ImportError:
        wrote = "scores.md, scores.json and pictures (curves.png needs Matplotlib: pip install matplotlib)"
    console.print(f"{wrote}: {options.out}/", highlight=False, markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
