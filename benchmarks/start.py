"""Seconds from the start of a process to the first mask: python benchmarks/start.py [--model NAME]

The first run has an empty cache of compiled kernels, for CPUs or GPUs, the second one uses what the first has compiled.
The cache is a temporary one. The image is 640x480, the prompt a click. On a CUDA GPU, CUDA graphs are recorded, too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise

import numpy as np
from rich.console import Console
from rich.table import Table

from sam2_ros.model.config import CONFIGS

STEPS = ("imports", "weights", "tracker ready", "first mask", "second frame")


def child(model: str, started: float) -> None:
    """Print when each of `STEPS` was done, in seconds since the start."""
    import torch  # part of the measured time

    from sam2_ros.checkpoints.load import load_model
    from sam2_ros.model.sam2 import SAM2
    from sam2_ros.system.device import device_of
    from sam2_ros.tracking.prompt import Click, Prompt
    from sam2_ros.tracking.tracker import Tracker

    def done() -> None:
        print(time.time() - started, flush=True)

    done()
    torch.manual_seed(0)
    network = load_model() if model == "default" else SAM2(CONFIGS[model]).eval().to(device_of(None))
    done()
    tracker = Tracker(network)
    done()
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    tracker.step(image)
    tracker.prompt(Prompt(clicks=(Click(320, 240),)))
    done()
    tracker.step(image)
    done()


def measure(model: str, cache: str) -> list[float]:
    """Seconds of each of `STEPS`."""
    command = [sys.executable, __file__, "--model", model, "--child", str(time.time())]
    caches = {"XDG_CACHE_HOME": cache, "TRITON_CACHE_DIR": f"{cache}/triton"}
    answer = subprocess.run(command, env={**os.environ, **caches}, stdout=subprocess.PIPE, text=True, check=True)
    at = [0.0, *map(float, answer.stdout.split())]
    return [after - before for before, after in pairwise(at)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=CONFIGS, default="default", help="all but default have random weights")
    parser.add_argument("--child", type=float, metavar="STARTED", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.model, options.child)
        return
    console = Console()
    console.width = max(console.width, 110)  # tables in a file would be cut to 80 columns
    table = Table(*["seconds", *STEPS, "start to first mask"], title=f"{options.model}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as cache, console.status("starting"):
        for name in ("empty cache", "filled cache"):
            seconds = measure(options.model, cache)
            table.add_row(name, *(f"{value:.1f}" for value in (*seconds, sum(seconds[:-1]))))
    console.print(table)


if __name__ == "__main__":
    main()
