"""20,000 malformed or extreme messages and calls to a live node: python benchmarks/fuzz.py [--messages N] [--seed N]

Two nodes run as processes, over real DDS. The victim gets everything; its twin only the images and prompts that are
good or merely strange. After each burst a good image must get its masklets, and ~/list its answer. Checked: no crash,
no hang of more than 1 s beyond what the twin takes at that moment, and beyond the time for which other programs had the
cores; one answer for each prompt and each call, tracked objects equal to the twin's bit by bit, log below 1 kB/s. Exit
status 1 if one of them does not hold.

--logs keeps the output of both nodes in a folder. --parameter NAME:=VALUE is given to both.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from fuzz.campaign import HANG, LOG_RATE, PARAMETERS, Campaign, Outcome
from fuzz.kinds import KINDS
from fuzz.rig import Rig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    names = ", ".join(kind.name for kind in KINDS)
    parser.add_argument(
        "--only", metavar="KIND", nargs="+", choices=[kind.name for kind in KINDS], default=[], help=names
    )
    parser.add_argument("--parameter", metavar="NAME:=VALUE", action="append", default=[], help="of both nodes; repeat")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="where the output of the nodes is kept")
    options = parser.parse_args()
    console = Console()
    console.width = max(console.width, 110)  # a table in a file would be cut to 80 columns
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(*columns, console=console, transient=True) as progress,
        Rig(options.logs or Path(folder), [*PARAMETERS, *options.parameter]) as rig,
    ):
        task = progress.add_task("hostile messages", total=options.messages)
        on_progress = lambda sent: progress.update(task, completed=sent)  # noqa: E731
        campaign = Campaign(rig, options.seed, options.messages, options.only, on_progress)
        outcome = campaign.run()
    report(console, outcome, options.seed)
    return 0 if all(outcome.checks.values()) else 1


def report(console: Console, outcome: Outcome, seed: int) -> None:
    """Prints the tables."""
    for line in outcome.failures:
        console.print("! " + line, markup=False, highlight=False)
    table = Table("hostile messages and calls", "", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name, number in sorted(outcome.sent.items()):
        table.add_row(name, f"{number:,}")
    table.add_row("together", f"{outcome.sent.total():,}", style="bold")
    console.print(table)

    table = Table("property", "found", "holds", box=None, padding=(0, 2, 0, 0))
    found = {
        "no crash": outcome.death or f"exit status {outcome.status} after SIGINT, {outcome.tracebacks} tracebacks",
        "no hang": f"{outcome.hangs} of {len(outcome.beats):,} signs of life came more than {HANG:g} s late",
        "one answer for each prompt": f"{outcome.prompts:,} prompts, {outcome.unanswered} without an answer,"
        f" {outcome.surplus} answers too many",
        "one answer for each call": f"{outcome.calls:,} calls, {outcome.unanswered_calls} without an answer",
        "objects equal to the twin's": f"{outcome.images:,} images ({outcome.strange:,} strange ones sent),"
        f" {outcome.good_prompts:,} good prompts, {outcome.differences} differences",
        "log": f"{outcome.log_rate:.0f} of at most {LOG_RATE:.0f} bytes/s",
    }
    for name, holds in outcome.checks.items():
        table.add_row(name, found[name], "yes" if holds else "NO", style="" if holds else "bold red")
    console.print(table)

    if outcome.beats:
        table = Table("seconds from image to masklets", "median", "p99", "longest", box=None, padding=(0, 2, 0, 0))
        victim, twin, listed, without_core = np.array(outcome.beats).T
        rows = {"before the attack": np.array(outcome.quiet), "victim": victim, "twin": twin, "~/list": listed}
        rows |= {"victim later than twin": victim - twin, "victim without a core": without_core}
        for name, values in rows.items():
            table.add_row(name, *(f"{np.percentile(values, q):.3f}" for q in (50, 99, 100)))
        console.print(table)
    machine = f"{outcome.seconds:.0f} s, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    last = len(outcome.memory) - 1
    memory = ", ".join(f"{outcome.memory[last * quarter // 4]:.0f}" for quarter in range(5) if outcome.memory)
    console.print(
        f"seed {seed}, {machine}; MB of the victim at the start and after each quarter: {memory}", highlight=False
    )


if __name__ == "__main__":
    sys.exit(main())
