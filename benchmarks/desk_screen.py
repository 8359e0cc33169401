"""Milliseconds from a masklet message to the mask on the screen: python benchmarks/desk_screen.py [--seconds 30]

A camera of 640x480 and masklets that need no network (`played_masklets`), the desk, and its page in a headless Chromium
that draws with the CPU, all on this machine over real DDS. Measured in the page when a picture has been drawn and the
browser has made its frame of it; from the time at which the message was due to be published, and from the time at which
the desk had it.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from browser import Visit, chromium, wait_for

from sam2_ros.ros.graph import Graph

GOAL = 80.0
"""ms, the median from the message to the screen."""
START_TIMEOUT = 120.0  # s

# When the stage says that it has drawn, the canvas is drawn; a message that is posted then arrives after the browser
# has made its frame of it.
WATCH = """
() => {
  const channel = new MessageChannel();
  const now = () => performance.timeOrigin + performance.now();
  const waiting = [];
  window.watched = [];
  channel.port1.onmessage = () => {
    const [stamp, published] = waiting.shift();
    window.watched.push([stamp, published, now()]);
  };
  let last = null;
  window.desk.stage.on("drawn", () => {
    const { stamp, published_ms: published, masks } = window.desk.shown;
    if (stamp === last || !masks) return;
    last = stamp;
    waiting.push([stamp, published]);
    channel.port2.postMessage(0);
  });
}
"""


def measure(seconds: float, rate: float, delay: float, width: int, height: int) -> dict[str, np.ndarray]:
    """Milliseconds to the screen, of each picture: since the `message` was due, and since the `desk` had it."""
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder, Graph(Path(folder)) as graph, chromium() as browser:
        graph.start("camera", "played_masklets", "--rate", str(rate), "--delay", str(delay))
        graph.start("desk", "sam2_ros.commands.desk", "--port", "0")
        address = _address(graph)
        visited = Visit(browser, address, viewport={"width": width, "height": height})
        page = visited.page
        wait_for(page, "window.desk?.shown?.masks", timeout=1000 * START_TIMEOUT)
        page.wait_for_timeout(3000)  # caches fill, functions are compiled
        page.evaluate(WATCH)
        page.wait_for_timeout(1000 * seconds)
        watched = page.evaluate("watched")
        if wrong := visited.close():
            raise RuntimeError(f"the page is not clean: {wrong}")
    stamps = np.array([int(stamp) for stamp, _, _ in watched]) / 1e6
    published, drawn = np.array([row[1:] for row in watched], float).T
    return {"desk": drawn - published, "message": drawn - stamps - 1000 * delay, "interval": np.diff(drawn)}


def _address(graph: Graph) -> str:
    deadline = time.monotonic() + START_TIMEOUT
    while not (found := re.search(r"http://\S+", (graph.logs / "desk.log").read_text())):
        if time.monotonic() > deadline or graph.processes["desk"].poll() is not None:
            raise RuntimeError(f"the desk does not start: {graph.last_lines('desk')}")
        time.sleep(0.1)
    return found[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=20.0, help="images a second")
    parser.add_argument("--delay", type=float, default=0.04, help="seconds from an image to its masklets")
    parser.add_argument("--window", type=int, nargs=2, default=(1440, 900), metavar=("WIDTH", "HEIGHT"))
    options = parser.parse_args()
    console = Console()
    console.print("$ python " + shlex.join(sys.argv), highlight=False)
    load = os.getloadavg()[0]
    times = measure(options.seconds, options.rate, options.delay, *options.window)
    table = Table("ms to the screen", box=None, padding=(0, 2, 0, 0))
    for column in ("p50", "p90", "p99", "largest"):
        table.add_column(column, justify="right")
    for name, row in (("from publishing the masklets", "message"), ("from their arrival at the desk", "desk")):
        table.add_row(name, *(f"{value:.1f}" for value in (*np.percentile(times[row], (50, 90, 99)), times[row].max())))
    shown = 1000 * len(times["interval"]) / times["interval"].sum()
    console.print(
        f"{len(times['desk'])} pictures shown, {shown:.1f} of {options.rate:g} a second; {os.cpu_count()} CPU cores,"
        f" load before {load:.1f}",
        highlight=False,
    )
    console.print(table)
    met = np.median(times["message"]) < GOAL
    console.print(f"median < {GOAL:g} ms: {'met' if met else 'not met'}", highlight=False)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
