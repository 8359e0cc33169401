"""Several cameras in one node, beside as many nodes: python benchmarks/cameras.py [--cameras 1 2 4] [--frames 60]

Each camera sends its next 640x480 image as soon as the masklets of the last have come; one object is tracked in each.
The table shows images per second over all cameras, the latency of an image, and the memory of all node processes
(proportional set size: what processes share counts once). The two ways are measured in turns.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from stream import first_clicks, scene, shown

from sam2_ros import msg
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import nanoseconds, time_message

WARM_UP = 24
"""Number of images of each camera until memory banks are full."""

TIMEOUT = 120.0
"""Seconds to wait for anything."""


@dataclass
class Measured:
    """One run of all cameras."""

    rates: list[float]
    """Images per second of each camera."""
    latencies: np.ndarray
    """Of all images, ms."""
    memory: float
    """Of all node processes, MB."""


@dataclass
class Camera:
    """A camera that waits for the masklets of each image."""

    namespace: str
    topic: str
    answered: list[float] = field(default_factory=list)
    """Times at which masklets came, s."""
    latencies: list[float] = field(default_factory=list)
    """Milliseconds."""
    prompted: bool = False


def measure(count: int, one_node: bool, frames: int, parameters: list[str]) -> Measured:
    """Run `count` cameras with one node, or with one node each."""
    names = [f"camera{i}" for i in range(count)]
    clip = scene(1)
    pictures = [np.ascontiguousarray(shown(clip, index)) for index in range(46)]
    (click,) = first_clicks(clip, 1)
    with tempfile.TemporaryDirectory() as folder, Graph(Path(folder)) as graph:
        os.environ.update(graph.environment)
        if one_node:
            cameras = [Camera(f"/sam2/{name}", f"/{name}/image") for name in names]
            graph.start("sam2", "sam2_ros.ros.node", "--ros-args", "-p", f"cameras:=[{', '.join(names)}]", *parameters)
        else:
            cameras = [Camera(f"/{name}/sam2", f"/{name}/image") for name in names]
            for name in names:
                graph.start(name, "sam2_ros.ros.node", "--ros-args", "-r", f"__ns:=/{name}", *parameters)
        context = rclpy.Context()
        rclpy.init(args=[], context=context)
        node = rclpy.create_node("benchmark", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        try:
            return _run(node, executor, cameras, graph, pictures, click, frames)
        finally:
            executor.shutdown()
            node.destroy_node()
            rclpy.shutdown(context=context)


def _run(node, executor, cameras, graph, pictures, click, frames) -> Measured:
    images = [node.create_publisher(Image, camera.topic, qos_profile_sensor_data) for camera in cameras]
    prompts = [node.create_publisher(msg.PromptArray, f"{camera.namespace}/prompts", 10) for camera in cameras]
    sent: list[dict[int, float]] = [{} for _ in cameras]

    def send(i: int) -> None:
        stamp = node.get_clock().now().nanoseconds
        message = to_message(pictures[len(sent[i]) % 46], "rgb8", Header(stamp=time_message(stamp), frame_id="camera"))
        sent[i][stamp] = time.perf_counter()
        images[i].publish(message)

    def on_masklets(i: int, message: msg.MaskletArray) -> None:
        camera, now = cameras[i], time.perf_counter()
        camera.latencies.append(1000 * (now - sent[i][nanoseconds(message.header.stamp)]))
        camera.answered.append(now)
        camera.prompted = camera.prompted or bool(message.masklets)
        if running:
            send(i)

    for i, camera in enumerate(cameras):
        on_message = lambda message, i=i: on_masklets(i, message)  # noqa: E731
        node.create_subscription(msg.MaskletArray, f"{camera.namespace}/masklets", on_message, QoSProfile(depth=100))

    def wait(condition, what: str, meanwhile=lambda: None) -> None:
        end = time.monotonic() + TIMEOUT
        while not condition():
            executor.spin_once(timeout_sec=0.05)
            meanwhile()
            if time.monotonic() > end:
                logs = "\n".join(graph.last_lines(name) for name in graph.processes)
                raise TimeoutError(f"{what}; the last lines of the nodes:\n{logs}")

    running = False
    topics = [*images, *prompts]
    wait(lambda: all(one.get_subscription_count() for one in topics), "a node has not started")
    last = 0.0

    def send_to_silent() -> None:  # images are lost until both ends have discovered each other
        nonlocal last
        if time.monotonic() - last > 1.0:
            last = time.monotonic()
            for i, camera in enumerate(cameras):
                if not camera.answered:
                    send(i)

    wait(lambda: all(camera.answered for camera in cameras), "a node publishes no masklets", send_to_silent)
    for publisher in prompts:
        publisher.publish(msg.PromptArray(prompts=[msg.Prompt(clicks=[msg.Click(x=float(click.x), y=float(click.y))])]))
    running = True
    for i in range(len(cameras)):
        send(i)
    wait(lambda: all(camera.prompted for camera in cameras), "a prompt was not applied")
    begin = [len(camera.answered) + WARM_UP for camera in cameras]
    ends = [first + frames for first in begin]

    def done() -> int:
        return min(len(camera.answered) - end for camera, end in zip(cameras, ends, strict=True)) + frames + WARM_UP

    for step in track(range(frames + WARM_UP), f"{len(cameras)} cameras, {len(graph.processes)} nodes", transient=True):
        wait(lambda step=step: done() > step, "masklets stopped coming")
    memory = sum(_memory(process.pid) for process in graph.processes.values())
    rates = [
        frames / (camera.answered[first + frames - 1] - camera.answered[first - 1])
        for camera, first in zip(cameras, begin, strict=True)
    ]
    latencies = [camera.latencies[first : first + frames] for camera, first in zip(cameras, begin, strict=True)]
    return Measured(rates, np.concatenate(latencies), memory)


def _memory(pid: int) -> float:
    """Proportional set size of a process, MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--frames", type=int, default=60, help="of each camera")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, of which the median counts")
    parser.add_argument("--parameter", metavar="NAME:=VALUE", action="append", default=[], help="of the nodes; repeat")
    options = parser.parse_args()
    console = Console()
    console.width = max(console.width, 110)
    console.print("$ python " + shlex.join(sys.argv), highlight=False)
    console.print(f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}", highlight=False)
    parameters = [word for parameter in options.parameter for word in ("-p", parameter)]
    table = Table("cameras", "", box=None, padding=(0, 2, 0, 0))
    for column in ("images/s, all", "slowest camera", "latency ms: median", "p90", "memory MB"):
        table.add_column(column, justify="right")
    for count in options.cameras:
        ways = {"one node": True} if count == 1 else {"one node": True, f"{count} nodes": False}
        runs: dict[str, list[Measured]] = {way: [] for way in ways}
        for _ in range(options.repeat):
            for way, one_node in ways.items():
                runs[way].append(measure(count, one_node, options.frames, parameters))
        for way, measured in runs.items():
            numbers = [
                (sum(run.rates), min(run.rates), *np.percentile(run.latencies, (50, 90)), run.memory)
                for run in measured
            ]
            rate, slowest, p50, p90, memory = np.median(numbers, axis=0)
            row = (f"{rate:.1f}", f"{slowest:.1f}", f"{p50:.0f}", f"{p90:.0f}", f"{memory:.0f}")
            table.add_row(str(count), way, *row)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
