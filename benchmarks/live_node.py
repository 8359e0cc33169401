"""The node as another process, over real DDS, with a camera and an operator in this one."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import nanoseconds, time_message
from sam2_ros.tracking.prompt import Click


@dataclass(frozen=True)
class Answered:
    """How a stretch of images was answered."""

    latencies: np.ndarray
    """From publishing an image to having its masklets, ms; of those that were answered."""
    seconds: float
    """From the first image to the last masklets."""
    sent: int


class LiveNode:
    """Starts the node on a ROS domain of its own and ends it with the `with` block.

    Args:
        pictures: the camera's, uint8 [H, W, 3] RGB, shown in turn.
        parameters: of the node, NAME:=VALUE.
        program: the module that is run as the node, and its arguments before ROS's.
    """

    def __init__(
        self, pictures: Sequence[np.ndarray], parameters: Sequence[str], program: Sequence[str] = ("sam2_ros.ros.node",)
    ) -> None:
        self._pictures = [np.ascontiguousarray(picture) for picture in pictures]
        self._program = program
        self._options = [word for parameter in parameters for word in ("-p", parameter)]
        self._sent: dict[int, float] = {}
        self._received: dict[int, float] = {}
        self._results: list[msg.PromptResult] = []
        self._open = ExitStack()

    def __enter__(self) -> LiveNode:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            self._graph = stack.enter_context(Graph(Path(folder)))
            os.environ.update(self._graph.environment)
            self._graph.start("sam2", *self._program, "--ros-args", "-r", "image:=/camera/image", *self._options)
            context = rclpy.Context()
            rclpy.init(args=[], context=context, domain_id=self._graph.domain)  # this command line is not ROS's
            stack.callback(rclpy.shutdown, context=context)
            self._node = rclpy.create_node(
                f"benchmark_{self._graph.domain}", context=context
            )  # logs need a name of one's own
            stack.callback(self._node.destroy_node)
            self._executor = SingleThreadedExecutor(context=context)
            self._executor.add_node(self._node)
            stack.callback(self._executor.shutdown)
            self._connect()
            self._open = stack.pop_all()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    def _connect(self) -> None:
        deep = QoSProfile(depth=100)
        self._images = self._node.create_publisher(Image, "/camera/image", qos_profile_sensor_data)
        self._prompts = self._node.create_publisher(msg.PromptArray, "/sam2/prompts", QoSProfile(depth=10))
        self._node.create_subscription(msg.MaskletArray, "/sam2/masklets", self._on_masklets, deep)
        self._node.create_subscription(msg.PromptResult, "/sam2/prompt_results", self._results.append, deep)
        both = self._images, self._prompts
        found = lambda: all(publisher.get_subscription_count() for publisher in both)  # noqa: E731
        self._wait(found, 600, "the node has not started")  # it may have to compile kernels first
        next_try = 0.0

        def answered() -> bool:  # images are lost until both ends have discovered each other
            nonlocal next_try
            if time.monotonic() > next_try:
                self._send()
                next_try = time.monotonic() + 1.0
            return bool(self._received)

        self._wait(answered, 60, "the node publishes no masklets")

    def _on_masklets(self, message: msg.MaskletArray) -> None:
        self._received[nanoseconds(message.header.stamp)] = time.perf_counter()

    def prompt(self, clicks: Sequence[Click]) -> None:
        """Click on new objects in the newest image. Raises RuntimeError if one is refused."""
        known = len(self._results)
        array = msg.PromptArray(header=Header(stamp=time_message(max(self._received))))
        for click in clicks:
            array.prompts.append(msg.Prompt(clicks=[msg.Click(x=float(click.x), y=float(click.y))]))
        self._prompts.publish(array)
        self._wait(lambda: len(self._results) == known + len(clicks), 60, "not every prompt was answered")
        if refused := [result.message for result in self._results[known:] if not result.accepted]:
            raise RuntimeError(f"a prompt was refused: {refused[0]}")

    def show(self, images: int, rate: float | None = None) -> Answered:
        """Send images and wait for the masklets of the last.

        Args:
            rate: images a second; None: each waits for the answer to the one before it.
        """
        begun, start = len(self._sent), time.perf_counter()
        for index in range(images):
            if rate is not None:
                self._wait_until(start + index / rate)
            newest = self._send()
            if rate is None or index == images - 1:
                self._wait(lambda newest=newest: newest in self._received, 30, "no masklets came for an image")
        measured = [stamp for stamp in list(self._sent)[begun:] if stamp in self._received]
        latencies = 1000 * np.array([self._received[stamp] - self._sent[stamp] for stamp in measured])
        return Answered(latencies, max(self._received[stamp] for stamp in measured) - start, images)

    def _send(self) -> int:
        stamp = self._node.get_clock().now().nanoseconds
        header = Header(stamp=time_message(stamp), frame_id="camera")
        message = to_message(self._pictures[len(self._sent) % len(self._pictures)], "rgb8", header)
        self._sent[stamp] = time.perf_counter()
        self._images.publish(message)
        return stamp

    def _wait_until(self, due: float) -> None:
        while (left := due - time.perf_counter()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self._executor.spin_once(timeout_sec=0.1)  # a message ends it at once, a change of the graph does not
            if time.monotonic() > end:
                raise TimeoutError(f"{what}; the last lines of the node:\n{self._graph.last_lines('sam2')}")
