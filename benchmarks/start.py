"""From nothing to the first mask, in processes of their own: python benchmarks/start.py [--compiled] [--model NAME]

With an empty cache of compiled code, and once more with what is in it by then: the kernels for CPUs or GPUs, and with
--compiled the whole step. The cache is a temporary one. The frame is 640x480, the prompt a click. Where there is a CUDA
GPU it is taken, and CUDA graphs are recorded.
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


def child(model: str, accelerate: str, started: float) -> None:
    """Prints at which second since the start each of `STEPS` was done."""
    import torch  # it is part of what is measured

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
    tracker = Tracker(network, accelerate=accelerate)
    done()
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    tracker.step(image)
    tracker.prompt(Prompt(clicks=(Click(320, 240),)))
    done()
    tracker.step(image)
    done()


def measured(model: str, accelerate: str, cache: str) -> list[float]:
    """Seconds that each of `STEPS` took."""
    command = [sys.executable, __file__, "--model", model, "--child", accelerate, str(time.time())]
    caches = {"XDG_CACHE_HOME": cache, "TRITON_CACHE_DIR": f"{cache}/triton"}
    answer = subprocess.run(command, env={**os.environ, **caches}, stdout=subprocess.PIPE, text=True, check=True)
    at = [0.0, *map(float, answer.stdout.split())]
    return [after - before for before, after in pairwise(at)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=CONFIGS, default="default", help="others than default with random weights")
    parser.add_argument("--compiled", action="store_true", help="with accelerate compile, too: takes minutes")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.model, options.child[0], float(options.child[1]))
        return
    console = Console()
    table = Table(*["seconds", *STEPS, "start to first mask"], title=f"{options.model}, {os.cpu_count()} cores")
    runs = {"nothing cached": "auto", "once more": "auto"}
    if options.compiled:
        runs |= {"compile, nothing cached": "compile", "compile, once more": "compile"}
    with tempfile.TemporaryDirectory() as cache, console.status("starting"):
        for name, accelerate in runs.items():
            seconds = measured(options.model, accelerate, cache)
            table.add_row(name, *(f"{value:.1f}" for value in (*seconds, sum(seconds[:-1]))))
    console.print(table)


if __name__ == "__main__":
    main()
