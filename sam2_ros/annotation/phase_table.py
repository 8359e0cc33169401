"""python -m sam2_ros.annotation.phase_table: the SAM 2 paper's table of phases, for any data set and model."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("annotate")  # before imports that would fail

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; see the sam2 node

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from sam2_ros.acceleration import Network, accelerated
from sam2_ros.annotation.phase_report import j_and_f, phase_report, work_report
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.simulated_phases import PlayedClip, play
from sam2_ros.annotation.timings import PHASES, timings, total
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_model
from sam2_ros.command_line import MODELS, CommandParser, Rare, typed
from sam2_ros.data.clips import ClipError, Clips
from sam2_ros.evaluation.clip_options import add_clip_options, check_clip_options, data_warnings, find_clips
from sam2_ros.evaluation.report import Report, model_settings
from sam2_ros.evaluation.simulated_annotator import FINE_IOU, MAX_CLICKS, TOUCH_IOU, Costs, SimulatedAnnotator
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2

EXAMPLES = """
%(prog)s --suite --only motion occlusion-0
%(prog)s --davis DAVIS --split 2017/val --model sam2.1_hiera_tiny
%(prog)s --data sav_val --fine 0.9 --draw 79
%(prog)s --projects annotated/*
"""


def arguments() -> argparse.ArgumentParser:
    description = (
        "The work of annotation in the three phases of the SAM 2 paper: of people in their projects, or of a simulated"
        " annotator on clips with known masks."
    )
    usage = "%(prog)s (--suite | --davis FOLDER | --data PATH | --projects FOLDER ...) [options]"
    parser = CommandParser("sam2_ros.annotation.phase_table", description, EXAMPLES, usage, rare=True)
    sources = add_clip_options(parser)
    sources.add_argument("--projects", type=Path, nargs="+", metavar="PATH", help="annotation projects")

    person = parser.add_argument_group("simulated annotator")
    person.add_argument("--fps", type=float, default=6.0, metavar="N", help="annotated frames a second (default: 6)")
    person.add_argument(
        "--touch", type=float, default=TOUCH_IOU, metavar="IOU", help=f"correct masks below it (default: {TOUCH_IOU})"
    )
    person.add_argument(
        "--fine", type=float, default=FINE_IOU, metavar="IOU", help=f"until it is reached (default: {FINE_IOU})"
    )
    person.add_argument(
        "--clicks", type=int, default=MAX_CLICKS, metavar="N", help=f"on a frame, then draw (default: {MAX_CLICKS})"
    )
    costs = Costs()
    person.add_argument(
        "--look",
        type=float,
        default=costs.look,
        metavar="S",
        help=f"seconds to look at a frame (default: {costs.look})",
    )
    person.add_argument(
        "--click", type=float, nargs=2, default=(costs.click, costs.further_click), metavar="S",
        help=f"for the first click on a frame and for others ({costs.click} {costs.further_click})",
    )  # fmt: skip
    person.add_argument(
        "--draw", type=float, default=costs.draw, metavar="S", help=f"to draw a mask by hand (default: {costs.draw})"
    )

    model = parser.add_argument_group("model and results")
    model.add_argument("--model", choices=CONFIGS, metavar="NAME", help=MODELS)
    model.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights, or exported graphs")
    model.add_argument("--size", type=int, metavar="N", help="input size: about N x N pixels")
    model.add_argument("--aspect", metavar="W:H", help=Rare("of the input; `image`: that of each image"))
    model.add_argument("--device", help="cpu, cuda, ... (default: a GPU)")
    model.add_argument("--out", type=Path, metavar="FOLDER", default=Path("phases"), help="default: phases")
    return parser


def parse_options() -> argparse.Namespace:
    """The options of the command line with their defaults. Exits if some are incompatible."""
    parser = arguments()
    options = parser.parse_args()
    check_clip_options(parser, options)
    if not options.fps > 0:
        parser.error("--fps must be positive")
    return options


def annotator_of(options: argparse.Namespace) -> SimulatedAnnotator:
    """Raises ValueError for impossible settings."""
    click, further_click = options.click
    costs = Costs(options.look, click, further_click, options.draw)
    return SimulatedAnnotator(options.touch, options.fine, options.clicks, costs)


def play_all(
    clips: Clips,
    model: SAM2 | Network,
    annotator: SimulatedAnnotator,
    annotated_fps: float,
    console: Console,
    strict: bool = False,
) -> tuple[list[PlayedClip], list[str]]:
    """Play the phases on all clips that are not damaged. Returns them, and notes on the others.

    Raises:
        ClipError: a clip is damaged, if `strict`.
        OSError: the temporary folder cannot be written.
    """
    network = accelerated(model)
    done: list[PlayedClip] = []
    notes: list[str] = []
    columns = TextColumn("{task.description:<20}", markup=False), BarColumn(40), TextColumn("{task.percentage:3.0f} %")
    times = TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
    with Progress(*columns, *times, console=console, transient=True) as bar, TemporaryDirectory() as folder:
        task = bar.add_task("clips", total=len(clips))
        for number, name in enumerate(clips.names):
            bar.update(task, description=name)

            def on_progress(share: float, before: int = number) -> None:
                bar.update(task, completed=before + share)

            try:
                played = play(clips[number], network, annotator, Path(folder) / str(number), annotated_fps, on_progress)
            except ClipError as error:
                if strict:
                    raise
                notes.append(f"Skipped: {name} ({error}).")
                console.print(f"{name:<20} skipped: {error}", highlight=False, markup=False, soft_wrap=True)
                continue
            done.append(played)
            console.print(f"{name:<20} {_words(played)}", highlight=False, markup=False)
    return done, notes


def _words(played: PlayedClip) -> str:
    if not played.timings:
        return "no object to annotate"
    seconds = ", ".join(f"{played.timings[phase].seconds_per_frame:.1f}" for phase in PHASES)
    quality = (j_and_f(one for one in played.objects if one.phase == phase) for phase in PHASES)
    return f"{seconds} s a frame, J&F {', '.join(f'{100 * value:.1f}' for value in quality)}"


def report_of(options: argparse.Namespace, console: Console) -> tuple[Report, Sequence[PlayedClip]]:
    """The report that the options select, and what was played for it.

    Raises:
        CheckpointError, ClipError, OSError, ValueError: something is missing, damaged or impossible.
    """
    command = f"{typed('sam2_ros.annotation.phase_table')} {shlex.join(sys.argv[1:])}"
    if options.projects:
        work = []
        for folder in options.projects:
            with Project(folder) as project:
                work.append(timings(project))
        return work_report({"projects": str(len(work)), "command": command}, total(work)), []
    annotator = annotator_of(options)
    clips, name_of_clips = find_clips(options)
    model = load_model(options.model, options.checkpoint, options.device, options.size, options.aspect)
    costs = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in vars(annotator.costs).items())
    settings = {
        **model_settings(model, options.checkpoint),
        "clips": name_of_clips,
        "annotator": f"touches below an IoU of {annotator.touch_iou:g}, fine from {annotator.fine_iou:g} on,"
        f" at most {annotator.max_clicks} clicks, {options.fps:g} frames a second",
        "seconds": costs,
        "command": command,
    }
    played, notes = play_all(clips, model, annotator, options.fps, console, options.strict)
    return phase_report(settings, played, [f"Seconds: {costs}.", *notes]), played


def main() -> int:
    options = parse_options()
    console = Console()
    console.width = max(console.width, 110)  # tables in a file would be cut to 80 columns
    try:
        with data_warnings(console) as messages:
            report, played = report_of(options, console)
        report = replace(report, notes=[*report.notes, *messages])
        report.save(options.out, "phases")
    except (CheckpointError, OSError, ValueError, MemoryError) as error:
        console.print("[bold red]error:[/]", Text(str(error)), highlight=False, soft_wrap=True)
        return 2
    report.print(console)
    wrote = "phases.md and phases.json"
    if played:
        wrote = _draw(report, played, options.out)
    console.print(f"{wrote}: {options.out}/", highlight=False, markup=False, soft_wrap=True)
    return 0


def _draw(report: Report, played: Sequence[PlayedClip], out: Path) -> str:
    try:
        from sam2_ros.annotation import phase_picture
    except ImportError:
        return "phases.md and phases.json (phases.png needs Matplotlib: pip install matplotlib)"
    phase_picture.draw(played, f"{report.settings['model']}, {report.settings['clips']}", out / "phases.png")
    return "phases.md, phases.json and phases.png"


if __name__ == "__main__":
    sys.exit(main())
