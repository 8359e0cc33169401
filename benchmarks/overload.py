"""A camera that is faster than the network: python benchmarks/overload.py [--seconds 600] [--rate 100]

The node runs in a process of its own and tracks one object. Of each tenth of the time: images sent and masklets that
came, the age of the images of the masklets when these came, the node's memory and waiting images. Neither may grow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.ros.graph import free_domain
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import nanoseconds, time_message

PARTS = 10
START_TIMEOUT = 120.0  # s; the first start compiles kernels


@dataclass
class Part:
    """What was measured in one part of the time."""

    sent: int = 0
    """Images."""
    ages: list[float] = field(default_factory=list)
    """Age of each masklet's image when the masklet came, s."""
    came: list[float] = field(default_factory=list)
    """When it came, s of the monotonic clock."""
    memory: float = 0.0
    """Largest resident memory of the node, MiB."""
    waiting: int = 0
    """Largest number of waiting images, in the node."""
    objects: int = 0
    """Tracked objects in the last masklets."""


class Overload(Node):
    """The camera, and the subscriber to masklets and diagnostics."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__("overload")
        self.part = Part()
        camera = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._camera = self.create_publisher(Image, "image", camera)
        self._clicks = self.create_publisher(Point, "image_mouse_left", 1)
        self.create_subscription(msg.MaskletArray, "sam2/masklets", self._on_masklets, 100)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._size = size
        self._image = to_message(np.random.default_rng(0).integers(0, 99, (*size, 3), dtype=np.uint8), "rgb8", Header())

    @property
    def is_connected(self) -> bool:
        subscribers = self._camera.get_subscription_count(), self._clicks.get_subscription_count()
        return min(subscribers) > 0 and self.count_publishers("sam2/masklets") > 0

    def send(self) -> None:
        self._image.header.stamp = time_message(time.time_ns())
        self._camera.publish(self._image)
        self.part.sent += 1

    def click(self) -> None:
        """Start an object in the middle."""
        height, width = self._size
        self._clicks.publish(Point(x=width / 2, y=height / 2))

    def _on_masklets(self, message: msg.MaskletArray) -> None:
        self.part.ages.append((time.time_ns() - nanoseconds(message.header.stamp)) / 1e9)
        self.part.came.append(time.monotonic())
        self.part.objects = len(message.masklets)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        values = {value.key: value.value for value in message.status[0].values}
        self.part.memory = max(self.part.memory, float(values.get("memory (MiB)", 0.0)))
        self.part.waiting = max(self.part.waiting, int(values.get("images waiting", 0)))


@contextmanager
def running_node(parameters: Sequence[str]) -> Iterator[None]:
    """The sam2 node in another process."""
    command = [sys.executable, "-m", "sam2_ros.ros.node", "--ros-args", "--log-level", "error"]
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    process = subprocess.Popen([*command, *arguments])
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def measure(seconds: float, rate: float, size: tuple[int, int], parameters: Sequence[str] = ()) -> list[Part]:
    """Send images of [H, W] at a rate, 1/s, and measure in `PARTS` parts. Sets ROS_DOMAIN_ID if it isn't."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(free_domain()))
    rclpy.init()
    try:
        with running_node(parameters):
            node, executor = Overload(size), SingleThreadedExecutor()
            executor.add_node(node)
            _start(node, executor)
            return [_measure_part(node, executor, seconds / PARTS, rate) for _ in range(PARTS)]
    finally:
        rclpy.try_shutdown()


def _start(node: Overload, executor: SingleThreadedExecutor) -> None:
    """Wait for the node, and start an object."""
    deadline = time.monotonic() + START_TIMEOUT
    clicked = False  # a second click would start a second object
    while not node.part.objects:
        if time.monotonic() > deadline:
            raise RuntimeError("the node has not started")
        if node.is_connected:
            node.send()
            if node.part.ages and not clicked:
                node.click()
                clicked = True
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            executor.spin_once(timeout_sec=0.05)


def _measure_part(node: Overload, executor: SingleThreadedExecutor, seconds: float, rate: float) -> Part:
    node.part = Part()
    start = time.monotonic()
    while (now := time.monotonic()) < start + seconds:
        if now >= start + node.part.sent / rate:
            node.send()
        executor.spin_once(timeout_sec=max(0.0, start + node.part.sent / rate - time.monotonic()))
    return node.part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=100.0, help="images a second")
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("-p", dest="parameters", action="append", default=[], metavar="NAME:=VALUE", help="of the node")
    options = parser.parse_args()
    height, width = options.size
    columns = "seconds", "sent / s", "masklets / s", "age p50 (ms)", "age p99 (ms)", "memory (MiB)", "waiting"
    table = Table(*columns, title=f"{options.rate:g} images of {width}x{height} a second, {os.cpu_count()} cores")
    length = options.seconds / PARTS
    for number, part in enumerate(measure(options.seconds, options.rate, (height, width), options.parameters)):
        p50, p99 = 1000 * np.percentile(part.ages, (50, 99))
        rates = f"{part.sent / length:.0f}", f"{len(part.ages) / length:.1f}"
        span = f"{number * length:.0f} to {(number + 1) * length:.0f}"
        table.add_row(span, *rates, f"{p50:.0f}", f"{p99:.0f}", f"{part.memory:.0f}", str(part.waiting))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
