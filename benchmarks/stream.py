"""Rate and latency on this machine: python benchmarks/stream.py [--objects 1 4] [--frames 60] [--checkpoint FILE]

1. The tracker alone: milliseconds a frame, by stage, with a full memory bank.
2. The node, as another process, over real DDS: from publishing an image message to having its masklet message. First
   one image at a time (latency), then a camera at 30 images/s, of which a slow node takes the newest (rate, latency);
   with and without `encode_ahead`, in turns, unless --parameter sets it.

The same synthetic 640x480 frames go through both. --parameter NAME:=VALUE sets another parameter of the node.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the node does

import argparse
import platform
import shlex
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from clock import Clock
from live_node import Answered, LiveNode
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stages import STAGES, watch_stages

from sam2_ros.acceleration.onnx.network import OnnxNetwork
from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.prompts import error_click
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker

WARM_UP = 24
"""Number of frames until the memory bank is full."""
TURNS = 4
"""Number of stretches of images that each of several nodes is shown."""


def network(options: argparse.Namespace) -> SAM2 | OnnxNetwork:
    """The network that the node would run."""
    if options.checkpoint and any(Path(options.checkpoint).glob("*.onnx")):
        if options.image_size or options.image_aspect:
            sys.exit("exported graphs have a fixed input size; leave out --size and --aspect")
        return OnnxNetwork(options.checkpoint, threads=options.threads)
    return load_model(options.model, options.checkpoint, options.device, options.image_size, options.image_aspect)


def scene(objects: int, size: tuple[int, int] = (480, 640)) -> Clip:
    """24 frames of a scene with at least this number of objects; `size`: rows and columns."""
    return SyntheticScenes(SceneSettings(*size, frames=24, objects=(objects + 2, objects + 4), leaving=0)).scene(3)


def shown(clip: Clip, index: int) -> np.ndarray:
    """A frame of the endless stream: the clip forwards and backwards."""
    return clip.frames[(*range(24), *range(22, 0, -1))[index % 46]]


def first_clicks(clip: Clip, objects: int) -> list[Click]:
    """Clicks on the largest objects of the first frame, one each."""
    largest = sorted(clip.masks[0], key=np.count_nonzero, reverse=True)[:objects]
    return [error_click(np.zeros_like(mask), mask) or Click(100 + 40 * i, 100) for i, mask in enumerate(largest)]


def tracker_alone(model: SAM2, objects: int, frames: int) -> dict[str, np.ndarray]:
    """Milliseconds of each frame, by stage."""
    clip = scene(objects)
    tracker = Tracker(model)
    tracker.step(shown(clip, 0), 0)
    for click in first_clicks(clip, objects):
        tracker.prompt(Prompt(clicks=(click,)))
    clock = Clock(str(model.device))
    clock.watching = True  # on a GPU, too
    watch_stages(clock, tracker)
    rows = []
    for index in track(range(1, WARM_UP + frames + 1), f"tracker, {objects} objects", transient=True):
        with clock.step():
            tracker.step(shown(clip, index), index)
        if index > WARM_UP:
            rows.append(dict(clock.seconds))
    measured = [stage for stage in (*STAGES, "all") if any(stage in row for row in rows)]
    result = {stage: 1000 * np.array([row.get(stage, 0.0) for row in rows]) for stage in measured}
    result["rest"] = result["all"] - sum(result[stage] for stage in measured if stage != "all")
    return result


def encoding_ahead(model: SAM2, objects: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of each frame: images encoded before they are tracked; and encoded while the last one is tracked."""
    clip = scene(objects)
    taken: dict[bool, list[float]] = {False: [], True: []}
    trackers = {}
    for ahead in taken:
        trackers[ahead] = Tracker(model)
        trackers[ahead].step(shown(clip, 0), 0)
        for click in first_clicks(clip, objects):
            trackers[ahead].prompt(Prompt(clicks=(click,)))
    with ThreadPoolExecutor(1, "encoder") as encoder:
        index = 1
        while len(taken[True]) < WARM_UP + frames:  # in turns, because the load of the machine changes
            for ahead, tracker in trackers.items():
                coming = encoder.submit(tracker.encode, shown(clip, index)) if ahead else None
                for i in range(index, index + WARM_UP):
                    start = time.perf_counter()
                    if coming is None:
                        tracker.step(shown(clip, i), i)
                    else:
                        encoded = coming.result()
                        coming = encoder.submit(tracker.encode, shown(clip, i + 1))
                        tracker.step(encoded, i)
                    taken[ahead].append(time.perf_counter() - start)
                if coming is not None:
                    coming.result()
            index += WARM_UP
    return tuple(1000 * np.array(taken[ahead][WARM_UP:]) for ahead in (False, True))


def over_dds(
    objects: int, frames: int, rate: float | None, settings: dict[str, list[str]]
) -> dict[str, tuple[np.ndarray, float, int]]:
    """Latencies in ms, masklet messages per second, and images sent, of a node with each of these parameters.

    The nodes are shown images in turns, because the load of the machine changes.

    Args:
        rate: images a second; None: images wait for answers.
        settings: parameters of each node, NAME:=VALUE.
    """
    clip = scene(objects)
    pictures = [shown(clip, index) for index in range(46)]
    answered: dict[str, list[Answered]] = {name: [] for name in settings}
    with ExitStack() as stack:
        nodes = {}
        for name, parameters in settings.items():
            nodes[name] = stack.enter_context(LiveNode(pictures, parameters))
            nodes[name].prompt(first_clicks(clip, objects))
            nodes[name].show(WARM_UP)
        for _ in track(range(TURNS), f"DDS, {objects} objects", transient=True):
            for name, node in nodes.items():
                answered[name].append(node.show(frames // TURNS, rate))
    result = {}
    for name, turns in answered.items():
        latencies = np.concatenate([turn.latencies for turn in turns])
        seconds = sum(turn.seconds for turn in turns)
        result[name] = latencies, len(latencies) / seconds, sum(turn.sent for turn in turns)
    return result


def print_tracker(console: Console, options: argparse.Namespace) -> None:
    """Measure the tracker alone."""
    table = Table("tracker alone, ms a frame", title_justify="left", box=None, padding=(0, 2, 0, 0))
    alone = {}
    for objects in options.objects:
        model = network(options)  # a new one: its functions are wrapped by the clock
        alone[objects] = tracker_alone(model, objects, options.frames)
    for objects in options.objects:
        table.add_column(f"{objects} object{'s' * (objects > 1)}: median", justify="right")
        table.add_column("p90", justify="right")
    measured = alone[options.objects[0]]
    for name in (*(stage for stage in STAGES if stage in measured), "rest", "all"):
        cells = [f"{f(alone[objects][name]):.1f}" for objects in options.objects for f in (np.median, _p90)]
        table.add_row(name, *cells, style="bold" if name == "all" else "")
    console.print(table)

    table = Table("images a second", box=None, padding=(0, 2, 0, 0))
    for column in ("one after the other", "encoded ahead", "ratio"):
        table.add_column(column, justify="right")
    model = network(options)
    for objects in options.objects:
        one, two = (1000 / np.median(taken) for taken in encoding_ahead(model, objects, options.frames))
        table.add_row(f"{objects} object{'s' * (objects > 1)}", f"{one:.1f}", f"{two:.1f}", f"{two / one:.2f}")
    console.print(table)


def print_node(console: Console, options: argparse.Namespace) -> None:
    """Measure the node; unless `encode_ahead` is given, with it and without it."""
    names = ("model", "checkpoint", "image_size", "image_aspect", "device", "threads")
    values = {name: getattr(options, name) for name in names}
    parameters = [*(f"{name}:={value}" for name, value in values.items() if value), *options.parameter]
    settings = {"": parameters}
    if not any(parameter.startswith("encode_ahead") for parameter in parameters):
        settings = {f", encode_ahead {ahead}": [*parameters, f"encode_ahead:={ahead}"] for ahead in ("false", "true")}
    table = Table("image message to masklet message", "masklets/s", box=None, padding=(0, 2, 0, 0))
    for column in ("latency ms: median", "p90", "p99", "images answered"):
        table.add_column(column, justify="right")
    for rate, name in ((None, "one at a time"), (30.0, "30 images/s")):
        for objects in options.objects:
            for setting, (latencies, per_second, sent) in over_dds(objects, options.frames, rate, settings).items():
                numbers = (per_second, *np.percentile(latencies, (50, 90, 99)))
                row = [f"{name}, {objects} object{'s' * (objects > 1)}{setting}", *(f"{x:.1f}" for x in numbers)]
                table.add_row(*row, f"{len(latencies)} of {sent}")
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--model", choices=CONFIGS)
    parser.add_argument("--checkpoint", help="weights, or a folder that sam2_ros.deployment has exported")
    parser.add_argument("--threads", type=int, default=0, help="of one operation; 0: chosen by PyTorch and the node")
    parser.add_argument("--parameter", metavar="NAME:=VALUE", action="append", default=[], help="of the node; repeat")
    size = "input size: about N x N pixels; default: the model's"
    parser.add_argument("--size", dest="image_size", type=int, metavar="N", help=size)
    parser.add_argument("--aspect", dest="image_aspect", metavar="W:H", help="of the input; default: the model's")
    parser.add_argument("--device")
    parser.add_argument("--node", action="store_true", help="leave out the tracker alone")
    options = parser.parse_args()
    console = Console()
    console.width = max(console.width, 110)  # tables in a file would be cut to 80 columns
    if options.threads:
        torch.set_num_threads(options.threads)
    model = network(options)
    console.print("$ python " + shlex.join(sys.argv), highlight=False)
    console.print(
        f"{model.config.name} on {model.device}, {os.cpu_count()} CPU cores ({platform.machine()}),"
        f" {torch.get_num_threads()} threads for the tracker alone, load {os.getloadavg()[0]:.1f}, 640x480 images",
        highlight=False,
    )

    if not options.node:
        print_tracker(console, options)
    print_node(console, options)
    return 0


def _p90(values: np.ndarray) -> float:
    return float(np.percentile(values, 90))


if __name__ == "__main__":
    sys.exit(main())
