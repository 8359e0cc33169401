"""A run of `sam2_ros fleet`: from the options to the table."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.commands.progress import Progress
from sam2_ros.fleet.evaluation import EvaluationJob
from sam2_ros.fleet.fleet import News, started
from sam2_ros.fleet.fleet import run as run_job
from sam2_ros.fleet.job import Model
from sam2_ros.fleet.masklets import MaskletJob
from sam2_ros.fleet.piece import Outcome
from sam2_ros.fleet.plan import Plan
from sam2_ros.fleet.recordings_below import names_of, recordings_below
from sam2_ros.recordings.everything import AutomaticMaskletSettings
from sam2_ros.recordings.run_store import Search

TABLE = "fleet.json"
"""The table at the end, in the output folder."""

ROWS = 50
"""Maximum number of rows that are printed, those with a problem first."""

STYLES = {"failed": "bold red", "damaged": "yellow"}
"""Of states."""


def run(options: argparse.Namespace) -> int:
    """Work as the options say.

    Returns:
        The exit status: 0; 1 if a recording failed or images were skipped; 2 if nothing could be begun; 130 if it was
        interrupted.
    """
    console = Console()
    try:
        outcomes = _run(options, console)
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on where it was")
        return 130
    except (CheckpointError, OSError, ValueError, MemoryError, ImportError) as error:
        print(f"fleet: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 2
    return 1 if any(one.state in STYLES for one in outcomes) else 0


def _run(options: argparse.Namespace, console: Console) -> list[Outcome]:
    out = options.out.expanduser().absolute()
    checkpoint = None if options.checkpoint is None else options.checkpoint.expanduser().absolute()
    paths = _recordings(options)
    recordings = list(zip(names_of(paths), paths, strict=True))
    for name, path in recordings:
        if (out / name).resolve() == path.resolve():
            raise ValueError(f"{out / name} is a recording itself; choose another folder with --out")
    began = time.monotonic()
    job = _job(options, Model(options.model, checkpoint, options.device, options.size, options.aspect), out)
    _, weights = job.model.load("cpu")
    with started(options.workers, options.address, options.gpus_per_task) as plan:
        if not plan.gpus and options.device is None:
            job = replace(job, model=replace(job.model, device="cpu"))
        threads = options.threads or plan.cpus
        console.print(_described(plan, threads, len(recordings), options.address), highlight=False)
        with Progress(console) as progress:
            outcomes = run_job(job, recordings, plan, weights, _news(console, progress), options.retries, threads)
    _show_table(console, outcomes)
    seconds = time.monotonic() - began
    (out / TABLE).write_text(json.dumps(_as_json(options, outcomes, seconds), indent=1))
    summary = f"{_summary(outcomes)}, {seconds:.0f} s; {out / TABLE}"
    console.print(summary, highlight=False, markup=False, soft_wrap=True)
    if isinstance(job, EvaluationJob):
        _report(job, options, outcomes, console)
    return outcomes


def _recordings(options: argparse.Namespace) -> list[Path]:
    """Those that are named, and those in folders. Raises ValueError: there are none."""
    given = [path.expanduser() for path in options.recordings]
    if not any(path.exists() for path in given):
        raise ValueError(f"{', '.join(map(str, given))}: not there")
    if options.action == "evaluate":
        return list(dict.fromkeys(path.expanduser().absolute() for path in options.recordings))
    paths = recordings_below(options.recordings)
    if not paths:
        raise ValueError(f"there is no bag, video or folder of images in {', '.join(map(str, given))}")
    return paths


def _job(options: argparse.Namespace, model: Model, out: Path) -> MaskletJob | EvaluationJob:
    if options.action == "evaluate":
        return EvaluationJob(model, out, options.prompt, options.images, options.masklets, restart=options.restart)
    search = None
    if options.action == "everything":
        settings = AutomaticMaskletSettings(
            period=options.period, coverage=options.coverage, max_masklets=options.max_masklets
        )
        search = Search(settings, options.max_objects)
    return MaskletJob(
        model,
        out,
        search,
        options.format,
        not options.masklets_only,
        options.images,
        options.fps,
        options.backward,
        options.stretch,
        options.restart,
    )


def _described(plan: Plan, threads: int, recordings: int, address: str | None) -> str:
    """`8 recordings, 2 workers with 4 threads and 0.5 GPU each, on this machine`."""
    gpus = f" and {plan.gpus:g} GPU" if plan.gpus else ""
    where = "this machine" if address is None else f"the cluster {address}"
    recording = f"{recordings} recording{'' if recordings == 1 else 's'}"
    worker = "1 worker" if plan.workers == 1 else f"{plan.workers} workers"
    return f"{recording}, {worker} with {threads} thread{'s' * (threads > 1)}{gpus} each, on {where}"


def _news(console: Console, progress: Progress) -> News:
    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    def on_outcome(outcome: Outcome) -> None:
        if outcome.state in STYLES:
            say(f"{outcome.piece.name}: {outcome.state}: {outcome.reason}", STYLES[outcome.state])

    return News(
        lambda done, total: progress.on_pass(int(done), max(1, int(total))),
        on_outcome,
        lambda piece: say(f"{piece}: its worker was killed; another one goes on", "yellow"),
    )


def _show_table(console: Console, outcomes: Sequence[Outcome]) -> None:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    for heading, justify in (("recording", "left"), ("images", "right"), ("objects", "right"), ("seconds", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    table.add_column("state")
    table.add_column("reason")
    shown = [*outcomes] if len(outcomes) <= ROWS else sorted(outcomes, key=lambda one: one.state not in STYLES)[:ROWS]
    for one in shown:
        failed = one.state == "failed"
        restarts = [f"{one.starts - 1} workers were killed"] if one.starts > 1 and not failed else []
        table.add_row(
            Text(one.piece.name),  # no markup, whatever its letters
            str(one.piece.images or ""),
            "" if failed else str(one.objects),
            "" if failed else f"{one.seconds:.1f}",
            one.state,
            Text("; ".join(filter(None, [one.reason, *restarts]))),
            style=STYLES.get(one.state, ""),
        )
    if len(shown) < len(outcomes):
        table.add_row(f"and {len(outcomes) - len(shown)} more")
    console.print(table)


def _summary(outcomes: Sequence[Outcome]) -> str:
    states = [one.state for one in outcomes]
    counted = {state: states.count(state) for state in ("done", "unchanged", "damaged", "failed")}
    return ", ".join(f"{count} {state}" for state, count in counted.items() if count)


def _as_json(options: argparse.Namespace, outcomes: Sequence[Outcome], seconds: float) -> dict[str, object]:
    return {
        "action": options.action,
        "seconds": round(seconds, 3),
        "recordings": [
            {
                "recording": one.piece.name,
                "path": str(one.piece.path),
                "stretch": None if one.piece.start is None else [one.piece.start, one.piece.stop],
                "images": one.piece.images,
                "objects": one.objects,
                "seconds": round(one.seconds, 3),
                "state": one.state,
                "reason": one.reason,
                "starts": one.starts,
            }
            for one in outcomes
        ],
    }


def _report(job: EvaluationJob, options: argparse.Namespace, outcomes: Sequence[Outcome], console: Console) -> None:
    """Print the scores, and write them as `sam2_ros evaluate` does. Raises ValueError: nothing was scored."""
    settings = {
        "model": options.model or "default" if options.checkpoint is None else options.model or "of the checkpoint",
        "checkpoint": str(options.checkpoint or "shipped"),
        "device": job.model.device or "cuda",
        "clips": ", ".join(map(str, options.recordings)),
        "protocol": "vos",
        "prompt": ", ".join(job.kinds),
    }
    report = job.report(outcomes, settings)
    report.save(job.out)
    console.width = max(console.width, 110)  # tables in a file would be cut to 80 columns
    report.print(console)
    console.print(f"scores.md and scores.json: {job.out}{os.sep}", highlight=False, markup=False, soft_wrap=True)
