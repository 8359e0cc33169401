"""Milliseconds that the node adds to the network: python benchmarks/latency.py [--objects 3] [--images 300]

From the beginning of the image's callback to the return of the masklets' publisher, less the time in the network's
functions. The node runs in a process of its own, as on a robot; a camera in this one sends 1280x720 rgb8 images over
DDS, slowly enough that each is answered before the next. The processor's time of the tracker's thread is listed beside
the wall's, since another program that takes a core counts towards that alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np
from live_node import LiveNode
from rich.console import Console
from rich.table import Table
from stream import first_clicks, scene, shown
from watched_node import COLLECTIONS, NETWORK, STAGES

SIZE = (720, 1280)
WARM_UP = 24
"""Number of images until the memory bank is full."""
GOAL = {50: 5.0, 99: 15.0}
"""Percentile: the most that the node may add, ms."""


def measure(objects: int, images: int, rate: float, parameters: list[str]) -> list[dict]:
    """The measurements of each image after the warm-up, as `watched_node` writes them."""
    clip = scene(objects, SIZE)
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "images.jsonl")
        with LiveNode([shown(clip, index) for index in range(46)], parameters, ("watched_node", str(file))) as node:
            node.prompt(first_clicks(clip, objects))
            node.show(WARM_UP)
            before = len(file.read_text().splitlines())
            node.show(images, rate)
        return [json.loads(line) for line in file.read_text().splitlines()[before:]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rate", type=float, default=8.0, help="images a second")
    parser.add_argument("--parameter", metavar="NAME:=VALUE", action="append", default=[], help="of the node; repeat")
    options = parser.parse_args()
    console = Console()
    console.width = max(console.width, 110)  # tables in a file would be cut to 80 columns
    console.print("$ python " + shlex.join(sys.argv), highlight=False)
    rows = measure(options.objects, options.images, options.rate, options.parameter)
    late, present = sum(row["late"] for row in rows), np.mean([row["objects"] for row in rows])
    console.print(
        f"{len(rows)} images of {SIZE[1]}x{SIZE[0]}, {present:.1f} of {options.objects} objects present,"
        f" {os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}; {late} more came while another was in the"
        " node, and are not counted",
        highlight=False,
    )
    wall, thread = ({name: _column(rows, clock, name) for name in (*STAGES, NETWORK)} for clock in ("wall", "thread"))
    every, collections = _column(rows, "wall", "all"), _column(rows, "wall", COLLECTIONS)
    added = every - wall[NETWORK]
    wall["rest"] = every - sum(wall.values())
    table = Table("ms an image", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("p50", "p90", "p99", "largest", "thread's p50"):
        table.add_column(column, justify="right")
    for name in STAGES:
        table.add_row(name, *_cells(wall[name]), f"{np.median(thread[name]):.2f}" if name in thread else "")
    table.add_row("all but the network", *_cells(added), style="bold")
    table.add_row(NETWORK, *_cells(wall[NETWORK]), f"{np.median(thread[NETWORK]):.2f}")
    table.add_row(COLLECTIONS, *_cells(collections))
    console.print(table)
    met = all(np.percentile(added, percentile) <= most for percentile, most in GOAL.items())
    goal = ", ".join(f"p{percentile} <= {most:g} ms" for percentile, most in GOAL.items())
    console.print(f"{goal}: {'met' if met else 'not met'}", highlight=False)
    return 0 if met else 1


def _column(rows: list[dict], clock: str, name: str) -> np.ndarray:
    return 1000 * np.array([row[clock].get(name, 0.0) for row in rows])


def _cells(values: np.ndarray) -> list[str]:
    return [f"{value:.2f}" for value in (*np.percentile(values, (50, 90, 99)), values.max())]


if __name__ == "__main__":
    sys.exit(main())
