"""What a live desk costs, and how soon pages see: python benchmarks/desk.py [--rate 20] [--rounds 5] [--minutes 10]

Node and desk are processes, over DDS, as are the pages. In each round, in turn: without a desk; with one that nobody
looks at; one page; ten pages of which three read nothing. Printed are the node's rate, and its share of that without a
desk in the same round; the time from publishing masklets to having them with their picture at a page (its drawing comes
on top); and what the desk itself needs. Medians of the rounds.

Pages are processes of the same machine, whose time the desk does not cost on a robot. --rate 0: each image is sent when
the masklets of the one before it have come, which shows what the desk takes from a node that is at its limit.

--minutes M: afterwards, ten pages of which three read nothing for so long; exit status 1 if the desk's memory grows.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from live_node import LiveNode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from scipy.stats import theilslopes

from sam2_ros import msg
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.scenes.demo_scene import demo_scene
from sam2_ros.tracking.prompt import Click

CAMERA = "/sam2"
FRAMES = 46
SETTLE = 4.0
"""Seconds until the desk has found the camera, and its pages are shown pictures."""
DEADLINE = 60.0
GROWTH = 0.02
"""Maximum growth of the desk's memory in the second half of the last minutes, as a share."""


@dataclass(frozen=True)
class Kind:
    """Who looks at the desk."""

    name: str
    desk: bool = True
    reading: int = 0
    deaf: int = 0


KINDS = (
    Kind("no desk", desk=False),
    Kind("a desk, no page"),
    Kind("1 page", reading=1),
    Kind("10 pages, 3 of them deaf", reading=7, deaf=3),
)


@dataclass(frozen=True)
class Measured:
    """A stretch of images."""

    rate: float
    """Masklets a second."""
    node_cpu: float
    """Of one core."""
    desk_cpu: float
    """Of one core."""
    memory: float
    """Of the desk, MB."""
    latencies: np.ndarray
    """From publishing masklets to the page, ms."""
    shown: float
    """Pictures a second at the first page."""


class DeskedNode(LiveNode):
    """The node, its camera, and a desk that comes and goes."""

    def __enter__(self) -> DeskedNode:
        self.published: dict[int, int] = {}
        """When the masklets of a stamp left the node, ns."""
        super().__enter__()
        return self

    def _on_masklets(self, message: msg.MaskletArray, info: dict[str, int]) -> None:  # type: ignore[override]
        super()._on_masklets(message)
        self.published[nanoseconds(message.header.stamp)] = info["source_timestamp"]

    @property
    def newest(self) -> int:
        """Stamp of the newest masklets, ns."""
        return max(self._received)

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        process = self._graph.start("desk", "sam2_ros.desk.live.node", "--ros-args", "-p", "port:=0")
        try:
            log = self._graph.logs / "desk.log"
            end = time.monotonic() + DEADLINE
            while not (found := re.search(r"http://\S+", log.read_text(errors="replace"))):
                self.show(1)
                if time.monotonic() > end or process.poll() is not None:
                    raise RuntimeError(f"the desk has not started: {log.read_text(errors='replace')[-500:]}")
            yield Desk(found[0], process.pid)
        finally:
            process.terminate()
            process.wait()
            del self._graph.processes["desk"]

    @property
    def pid(self) -> int:
        return self._graph.processes["sam2"].pid


@dataclass(frozen=True)
class Desk:
    """A desk that runs."""

    url: str
    pid: int


class Pages:
    """Pages of a desk, in a process of their own. A context manager."""

    def __init__(self, desk: Desk, kind: Kind, log: Path) -> None:
        self._log = log
        command = [sys.executable, str(Path(__file__).with_name("desk_pages.py")), desk.url, CAMERA]
        command += ["--reading", str(kind.reading), "--deaf", str(kind.deaf)]
        # In a session of their own, as on another machine: Linux shares a busy processor out among sessions.
        self._open = subprocess.Popen(command, stdout=log.open("w"), start_new_session=True)
        end = time.monotonic() + DEADLINE
        while not log.read_text():
            time.sleep(0.05)
            if time.monotonic() > end or self._open.poll() is not None:
                raise RuntimeError("the pages were not opened")

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.kill()
        self._open.wait()

    def check(self) -> None:
        if self._open.poll() is not None:
            raise RuntimeError("the desk disconnected a page that reads")

    @property
    def came(self) -> dict[int, int]:
        """When the picture of a stamp came, ns."""
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return {int(line[0]): int(line[1]) for line in lines if len(line) == 2}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    """What is resident of a process, without what it shares."""
    _, resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[:3]
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(node: DeskedNode, desk: Desk | None, pages: Pages | None, images: int, rate: float) -> Measured:
    def cpu() -> tuple[float, float]:
        return cpu_seconds(node.pid), cpu_seconds(desk.pid) if desk else 0.0

    before, first = cpu(), node.newest
    start = time.perf_counter()
    answered = node.show(images, rate or None)
    seconds = time.perf_counter() - start
    spent = [(after - then) / seconds for after, then in zip(cpu(), before, strict=True)]
    time.sleep(0.3)
    came = {stamp: when for stamp, when in (pages.came if pages else {}).items() if stamp > first}
    latencies = [(came[stamp] - node.published[stamp]) / 1e6 for stamp in came if stamp in node.published]
    return Measured(
        len(answered.latencies) / answered.seconds,
        spent[0],
        spent[1],
        megabytes(desk.pid) if desk else 0.0,
        np.array(latencies),
        len(came) / seconds,
    )


@contextmanager
def looked_at(node: DeskedNode, kind: Kind, log: Path) -> Iterator[tuple[Desk | None, Pages | None]]:
    """The desk and its pages, when pictures come."""
    if not kind.desk:
        node.show(10)
        yield None, None
        return
    with node.desk() as desk:
        if not kind.reading:
            show_for(node, SETTLE)
            yield desk, None
            return
        with Pages(desk, kind, log) as pages:
            end = time.monotonic() + DEADLINE
            while len(pages.came) < 10:
                node.show(1)
                if time.monotonic() > end:
                    raise RuntimeError("no pictures came to the pages")
            show_for(node, 1)
            yield desk, pages


def show_for(node: DeskedNode, seconds: float, rate: float | None = 20) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        node.show(5, rate)


def table_of(found: dict[Kind, list[Measured]]) -> Table:
    columns = (
        "",
        "masklets/s",
        "of no desk",
        "to the page, ms",
        "95 %",
        "pictures/s",
        "desk, core",
        "node, core",
        "MB",
    )
    table = Table(*columns, box=None)
    for kind, rounds in found.items():
        share = statistics.median(one.rate / alone.rate for one, alone in zip(rounds, found[KINDS[0]], strict=True))
        all_latencies = np.concatenate([one.latencies for one in rounds])
        latency = [f"{np.percentile(all_latencies, part):.0f}" for part in (50, 95)] if all_latencies.size else ["", ""]

        def middle(name: str, rounds: Sequence[Measured] = rounds) -> float:
            return statistics.median(getattr(one, name) for one in rounds)

        shown = f"{middle('shown'):.1f}" if kind.reading else ""
        desk = (f"{middle('desk_cpu'):.2f}", f"{middle('memory'):.0f}") if kind.desk else ("", "")
        table.add_row(
            kind.name,
            f"{middle('rate'):.1f}",
            f"{share:.3f}",
            *latency,
            shown,
            desk[0],
            f"{middle('node_cpu'):.2f}",
            desk[1],
        )
    return table


def watch_memory(node: DeskedNode, minutes: float, folder: Path, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Ten pages of which three read nothing. Returns seconds and the desk's memory in MB."""
    task = progress.add_task("memory", total=round(minutes * 60))
    samples = []
    with looked_at(node, KINDS[-1], folder / "pages.txt") as (desk, pages):
        assert desk is not None and pages is not None
        start = time.monotonic()
        while (seconds := time.monotonic() - start) < minutes * 60:
            samples.append((seconds, megabytes(desk.pid)))
            show_for(node, 2)
            pages.check()
            progress.update(task, completed=round(seconds))
    return np.array(samples).T[0], np.array(samples).T[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=20.0, help="images a second; 0: as fast as the node can")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=200, help="of a stretch")
    parser.add_argument("--objects", type=int, default=2, choices=range(1, 4))
    parser.add_argument("--minutes", type=float, default=0.0, help="of watching the desk's memory")
    parser.add_argument("--parameter", metavar="NAME:=VALUE", action="append", default=[], help="of the node; repeat")
    options = parser.parse_args()
    clip = demo_scene(FRAMES)
    there_and_back = [*range(FRAMES), *range(FRAMES - 2, 0, -1)]
    console = Console(width=120)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    found: dict[Kind, list[Measured]] = {kind: [] for kind in KINDS}
    status = 0
    with (
        DeskedNode([clip.frames[index] for index in there_and_back], options.parameter) as node,
        Progress(*columns, console=console) as progress,
    ):
        folder = node._graph.logs
        node.show(1)
        node.prompt([_inside(mask) for mask in _visible(clip.masks[0], options.objects)])
        if options.rounds:
            task = progress.add_task("rate and time", total=options.rounds * len(KINDS))
            for _ in range(options.rounds):
                for kind in KINDS:
                    with looked_at(node, kind, folder / "pages.txt") as (desk, pages):
                        found[kind].append(measure(node, desk, pages, options.images, options.rate))
                    progress.advance(task)
            progress.console.print(table_of(found))
        if options.minutes:
            seconds, memory = watch_memory(node, options.minutes, folder, progress)
            half = seconds > seconds[-1] / 2
            slope = theilslopes(memory[half], seconds[half])[0]
            growth = slope * (seconds[-1] - seconds[half][0]) / memory[half][0]
            status = int(growth > GROWTH)
            progress.console.print(
                f"memory of the desk over {seconds[-1] / 60:.1f} min: {memory[0]:.1f} MB at first,"
                f" {memory.max():.1f} at most, {memory[-1]:.1f} at last; in the second half {growth:+.1%}"
                + (": it GROWS" if status else "")
            )
    return status


def _visible(masks: np.ndarray, objects: int) -> list[np.ndarray]:
    """The largest ones."""
    return sorted((mask for mask in masks if mask.any()), key=lambda mask: -int(mask.sum()))[:objects]


def _inside(mask: np.ndarray) -> Click:
    """A pixel in the middle of a mask."""
    rows, columns = np.nonzero(mask)
    middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return Click(float(columns[middle]), float(rows[middle]))


if __name__ == "__main__":
    sys.exit(main())
