"""A tracking step beside other implementations: python benchmarks/peers.py [--model NAME] [--objects 1 4] [--dtype ...]

These sides take turns, frame by frame, each in its own process:

- ours: `Tracker.step`, from a camera's image to masks of its size;
- plain: ours with `accelerate=False`, the network of the paper, on a GPU;
- before, with --before PATH: another checkout of this repository, which shows the effect of a change;
- transformers: `Sam2VideoModel` on a stream, with the same weights and memories, and the same work before and after;
- reference: the video predictor of Meta's package `sam2`, where that is installed; compiled on a GPU.

Memory banks are full from the first measured frame on: they hold the same random memories on all sides, so answers must
agree, and the difference is printed. Weights are random; they have the speed of trained ones.

The column "plain at peak" is the time of the plain network's operations at the rate of the fastest matrix product on
this machine, or of its weights, inputs and outputs at the rate of a copy, whichever is longer. Ours can be below it, by
computing the same with fewer operations. On a busy machine, --cpu-time measures the processor's time instead of the
wall's. Energy is printed where the machine measures it: an NVIDIA GPU with nvidia-ml-py, processors
through Linux' powercap.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the node does
os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars of the reference

import argparse
import importlib.util
import json
import platform
import shlex
import sys
from itertools import product
from pathlib import Path
from typing import Any

import torch
from peers.inputs import ROOT
from peers.measurement import measure
from peers.plots import plot_objects, plot_stages
from peers.table import show
from peers.task import Task
from rich.console import Console


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["sam2.1_hiera_tiny"])
    parser.add_argument("--size", type=int, help="input size: side of a square; default: the model's")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=3, help="measured steps of each side")
    parser.add_argument("--warm-up", type=int, default=0, help="steps before them, after one to compare answers")
    parser.add_argument("--cpu-time", action="store_true", help="measure the processor's time, summed over threads")
    parser.add_argument("--operations", action="store_true", help="also PyTorch's operations, from its profiler")
    parser.add_argument("--before", metavar="PATH", help="another checkout of this repository")
    parser.add_argument("--alone", action="store_true", help="without transformers and the reference")
    parser.add_argument("--video", help="file of frames; default: a synthetic scene")
    parser.add_argument("--keep", action="store_true", help="our sides keep freed memory (sam2_ros.system.allocator)")
    parser.add_argument(
        "--out", type=Path, help="folder for peers.json, peers.png; with 3 counts or more objects-MODEL.png"
    )
    options = parser.parse_args()
    from sam2_ros.model.config import CONFIGS

    console = Console()
    console.width = max(console.width, 110)  # tables in a file would be cut to 80 columns
    console.print("$ python " + shlex.join(sys.argv), highlight=False)
    machine = (
        torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else f"{platform.machine()} CPU"
    )
    console.print(f"{machine}, {options.threads} threads, load {os.getloadavg()[0]:.1f}\n", highlight=False)
    results: list[dict[str, Any]] = []
    for model, dtype, objects in product(options.model, options.dtype, options.objects):
        how = options.device, options.threads, options.cpu_time, options.video, options.keep
        task = Task(model, options.size or CONFIGS[model].image_size, objects, dtype, *how)
        results.append(measure(task, _sides(options, model), options.steps, options.warm_up, options.operations))
        show(console, results[-1])
        if options.out:  # after each of them, because all may take long and may be stopped
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / "peers.json").write_text(json.dumps(results, indent=1))
            plot_stages(results, options.out / "peers.png")
            if len(options.objects) > 2 and objects == options.objects[-1]:
                plot_objects(
                    [result for result in results if result["model"] == model], options.out / f"objects-{model}.png"
                )
    return 0


def _sides(options: argparse.Namespace, model: str) -> dict[str, str]:
    """Path of the checkout, by name of the side."""
    sides = {"ours": str(ROOT)}
    if options.device.startswith("cuda"):
        sides["plain"] = str(ROOT)
    if options.before:
        sides["before"] = str(Path(options.before).resolve())
    if not options.alone and model != "default" and importlib.util.find_spec("transformers"):
        sides["transformers"] = str(ROOT)
        if importlib.util.find_spec("sam2"):
            sides["reference"] = str(ROOT)
    return sides


if __name__ == "__main__":
    sys.exit(main())
