"""The operator: a node that sends the prompts and monitors the progress."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage

from sam2_ros import msg
from sam2_ros.ros.demo.error import DemoError
from sam2_ros.ros.demo.topics import IMAGE, MASKLETS, PROMPTS, RESULTS
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.prompts import to_message
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.tracking.prompt import Prompt

PROGRESS_TIMEOUT = 60.0
"""Seconds without new masklets until the demo fails."""


class Operator:
    """Sends prompts for the first image, and counts images with masklets. A context manager.

    Args:
        graph: the graph to join.
        prompts: the first is for object 1, and so on.
    """

    def __init__(self, graph: Graph, prompts: Sequence[Prompt]) -> None:
        os.environ.update(graph.environment)
        self.graph = graph
        self.stamps: set[int] = set()
        """Stamps of the images that have masklets, ns."""
        self.results: list[msg.PromptResult] = []
        self._prompts = [to_message(prompt, object_id) for object_id, prompt in enumerate(prompts, start=1)]
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node("operator", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._publisher = self.node.create_publisher(msg.PromptArray, PROMPTS, 10)
        self.node.create_subscription(msg.MaskletArray, MASKLETS, self._on_masklets, QoSProfile(depth=1000))
        self.node.create_subscription(msg.PromptResult, RESULTS, self.results.append, QoSProfile(depth=100))
        # Reliable, and deep enough that later images don't push the first one out before it is read.
        self.node.create_subscription(CompressedImage, f"{IMAGE}/compressed", self._on_image, QoSProfile(depth=100))

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def wait(self, until: Callable[[], bool], timeout_message: Callable[[], str], tick: Callable[[], None]) -> None:
        """Spins until a condition holds.

        Args:
            until: the condition.
            timeout_message: returns what is missing, for the error.
            tick: called after each turn.

        Raises:
            DemoError: a process has failed, a prompt was refused, or there was no progress for `PROGRESS_TIMEOUT`.
        """
        deadline, count = time.monotonic() + PROGRESS_TIMEOUT, len(self.stamps)
        while not until():
            self._executor.spin_once(timeout_sec=0.05)
            tick()
            if len(self.stamps) != count:
                deadline, count = time.monotonic() + PROGRESS_TIMEOUT, len(self.stamps)
            self._check()
            if time.monotonic() > deadline:
                raise DemoError(f"{timeout_message()}. The last lines of sam2:\n{self.graph.last_lines('sam2')}")

    def _check(self) -> None:
        for name, process in self.graph.processes.items():
            if process.poll() not in (None, 0):
                raise DemoError(f"{name} has ended with an error:\n{self.graph.last_lines(name)}")
        for result in self.results:
            if not result.accepted:
                raise DemoError(f"the prompt for object {result.object_id} was refused: {result.message}")
        if "Not configured: " in (log := self.graph.last_lines("sam2")):
            raise DemoError(log.split("Not configured: ", 1)[1])

    def _on_image(self, message: CompressedImage) -> None:
        if self._prompts:
            self._publisher.publish(msg.PromptArray(header=message.header, prompts=self._prompts))
            self._prompts = []

    def _on_masklets(self, message: msg.MaskletArray) -> None:
        self.stamps.add(nanoseconds(message.header.stamp))
