"""Rate and latency on this machine: python benchmarks/stream.py [--objects 1 4] [--frames 60] [--checkpoint FILE]

1. The tracker alone: milliseconds a frame, by stage, with a full memory bank.
2. The node, as another process, over real DDS: from publishing an image message to having its masklet message. First
   one image at a time (latency), then a camera at 30 images/s, of which a slow node takes the newest (rate, latency).

The same synthetic 640x480 frames go through both. --parameter NAME:=VALUE sets another parameter of the node.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the node does

import argparse
import platform
import shlex
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from clock import Clock
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


def over_dds(objects: int, frames: int, rate: float | None, options: list[str]) -> tuple[np.ndarray, float, int]:
    """Latencies in ms, masklet messages per second, and images sent. Rate None: images wait for answers."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile, qos_profile_sensor_data
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    from sam2_ros import msg
    from sam2_ros.ros.graph import Graph
    from sam2_ros.ros.images import to_message
    from sam2_ros.ros.stamps import nanoseconds, time_message

    clip = scene(objects)
    pictures = [np.ascontiguousarray(shown(clip, index)) for index in range(46)]
    with tempfile.TemporaryDirectory() as folder, Graph(Path(folder)) as graph:
        os.environ.update(graph.environment)
        graph.start("sam2", "sam2_ros.ros.node", "--ros-args", "-r", "image:=/camera/image", *options)
        context = rclpy.Context()
        rclpy.init(args=[], context=context)  # this command line is not ROS's
        node = rclpy.create_node("benchmark", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        images = node.create_publisher(Image, "/camera/image", qos_profile_sensor_data)
        prompts = node.create_publisher(msg.PromptArray, "/sam2/prompts", QoSProfile(depth=10))
        sent: dict[int, float] = {}
        received: dict[int, float] = {}
        accepted: list[msg.PromptResult] = []

        def on_masklets(message: msg.MaskletArray) -> None:
            received[nanoseconds(message.header.stamp)] = time.perf_counter()

        node.create_subscription(msg.MaskletArray, "/sam2/masklets", on_masklets, QoSProfile(depth=100))
        node.create_subscription(msg.PromptResult, "/sam2/prompt_results", accepted.append, QoSProfile(depth=100))

        def wait(condition, seconds: float, what: str) -> None:
            end = time.monotonic() + seconds
            while not condition():
                executor.spin_once(timeout_sec=0.002)  # short: images are due at given times
                if time.monotonic() > end:
                    raise TimeoutError(f"{what}; the last lines of the node:\n{graph.last_lines('sam2')}")

        def send() -> int:
            stamp = node.get_clock().now().nanoseconds
            header = Header(stamp=time_message(stamp), frame_id="camera")
            message = to_message(pictures[len(sent) % 46], "rgb8", header)
            sent[stamp] = time.perf_counter()
            images.publish(message)
            return stamp

        def exchange() -> None:
            stamp = send()
            wait(lambda: stamp in received, 30, "no masklets came for an image")

        try:
            discovered = lambda: images.get_subscription_count() and prompts.get_subscription_count()  # noqa: E731
            wait(discovered, 600, "the node has not started")  # it may have to compile kernels first
            next_try = 0.0

            def answered() -> bool:  # images are lost until both ends have discovered each other
                nonlocal next_try
                if time.monotonic() > next_try:
                    send()
                    next_try = time.monotonic() + 1.0
                return bool(received)

            wait(answered, 60, "the node publishes no masklets")
            array = msg.PromptArray(header=Header(stamp=time_message(max(received))))
            for click in first_clicks(clip, objects):
                array.prompts.append(msg.Prompt(clicks=[msg.Click(x=float(click.x), y=float(click.y))]))
            prompts.publish(array)
            wait(lambda: len(accepted) == objects, 60, "not every prompt was answered")
            if not all(result.accepted for result in accepted):
                raise RuntimeError(f"a prompt was refused: {accepted[-1].message}")
            for _ in range(WARM_UP):
                exchange()
            begun = len(sent)
            start = time.perf_counter()
            for index in track(range(frames), f"DDS, {objects} objects", transient=True):
                if rate is None:
                    exchange()
                else:
                    wait(
                        lambda due=start + index / rate: time.perf_counter() >= due - 1e-3,
                        10,
                        "the next image was never due",
                    )
                    send()
            if rate is not None:
                newest = max(sent)
                wait(lambda: newest in received, 30, "no masklets came for the last image")
        finally:
            executor.shutdown()
            node.destroy_node()
            rclpy.shutdown(context=context)
    measured = [stamp for stamp in list(sent)[begun:] if stamp in received]
    latencies = 1000 * np.array([received[stamp] - sent[stamp] for stamp in measured])
    return latencies, len(measured) / (max(received[stamp] for stamp in measured) - start), frames


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

    names = ("model", "checkpoint", "image_size", "image_aspect", "device", "threads")
    values = {name: getattr(options, name) for name in names}
    parameters = [*(f"{name}:={value}" for name, value in values.items() if value), *options.parameter]
    node = [word for parameter in parameters for word in ("-p", parameter)]
    table = Table("image message to masklet message", "masklets/s", box=None, padding=(0, 2, 0, 0))
    for column in ("latency ms: median", "p90", "images answered"):
        table.add_column(column, justify="right")
    for rate, name in ((None, "one at a time"), (30.0, "30 images/s")):
        for objects in options.objects:
            latencies, per_second, sent = over_dds(objects, options.frames, rate, node)
            row = [f"{name}, {objects} object{'s' * (objects > 1)}", f"{per_second:.1f}"]
            table.add_row(*row, f"{np.median(latencies):.1f}", f"{_p90(latencies):.1f}", f"{len(latencies)} of {sent}")
    console.print(table)
    return 0


def _p90(values: np.ndarray) -> float:
    return float(np.percentile(values, 90))


if __name__ == "__main__":
    sys.exit(main())
