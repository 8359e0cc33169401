"""A robot that an operator's desk looks at: camera, sam2 and desk as processes, and a node that sees what they say."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile

from sam2_ros import msg
from sam2_ros.data.clip import Clip
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.scenes.demo_scene import demo_scene
from sam2_ros.tracking import rle

TIMEOUT = 90.0  # s; generous, because the machine may be busy: only failures take so long
FRAMES = 46
"""Of the demo's scene, in which the car drives from the left to the middle; the pot does not hide it yet."""


def write_scene(folder: Path) -> Clip:
    """The demo's scene as a folder of images that a camera can play again and again, to and fro."""
    clip = demo_scene(FRAMES)
    folder.mkdir(parents=True)
    for number, frame in enumerate([*range(FRAMES), *range(FRAMES - 2, 0, -1)]):
        cv2.imwrite(str(folder / f"{number:05d}.png"), clip.frames[frame][..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return clip


class DeskRobot:
    """Starts everything on a ROS domain of its own. A context manager.

    Args:
        folder: for the images and the output of the processes.
        rate: images per second of the camera.
    """

    def __init__(self, folder: Path, rate: float = 10.0) -> None:
        self.clip = write_scene(folder / "images")
        self.masklets: dict[int, msg.MaskletArray] = {}
        """All messages, by their stamps, ns."""
        self.results: list[msg.PromptResult] = []
        self.graph = Graph(folder / "logs")
        self._arrival = threading.Condition()
        self._source, self._rate = folder / "images", rate

    def __enter__(self) -> DeskRobot:
        self.graph.start("sam2", "sam2_ros.ros.node", "--ros-args", "-p", "history:=32")
        self.start_desk()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=self.graph.domain)
        self._node = Node("witness", context=self._context)
        self._node.create_subscription(msg.MaskletArray, "/sam2/masklets", self._on_masklets, QoSProfile(depth=100))
        self._node.create_subscription(msg.PromptResult, "/sam2/prompt_results", self._on_result, QoSProfile(depth=100))
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        parameters = (f"source:={self._source}", f"rate:={self._rate}", "loop:=true")
        self.graph.start(
            "camera", "sam2_ros.ros.camera", "--ros-args", *(word for value in parameters for word in ("-p", value))
        )
        self.wait_for(lambda: bool(self.masklets), "for the first masklets")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.graph.__exit__(kind, error, trace)
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def start_desk(self, port: int = 0) -> None:
        """Starts the desk; `address` waits for it."""
        self.graph.start("desk", "sam2_ros.desk.live.node", "--ros-args", "-p", f"port:={port}")

    @property
    def address(self) -> str:
        """Of the desk's page."""
        found: list[str] = []

        def is_up() -> bool:
            found.extend(re.findall(r"http://[\w.:]+/?", self.log("desk")))
            return bool(found)

        self.wait_for(is_up, "for the desk")
        return found[0]

    def log(self, name: str) -> str:
        """What a process has printed."""
        return (self.graph.logs / f"{name}.log").read_text(errors="replace")

    def call(self, kind: type, name: str, **request: object) -> object:
        """Calls a service."""
        client = self._node.create_client(kind, name)
        assert client.wait_for_service(TIMEOUT), f"there is no service {name}"
        answer = client.call_async(kind.Request(**request))
        self.wait_for(answer.done, f"for {name}")
        self._node.destroy_client(client)
        return answer.result()

    def masks(self, stamp: int) -> dict[int, np.ndarray]:
        """The masks that were published for an image, by object ID: bool [H, W]."""
        self.wait_for(lambda: stamp in self.masklets, f"for the masklets of {stamp}")
        return {masklet.object_id: _pixels(masklet.mask) for masklet in self.masklets[stamp].masklets}

    def objects(self) -> dict[int, msg.Masklet]:
        """What is tracked now, by object ID."""
        with self._arrival:
            newest = self.masklets[max(self.masklets)]
        return {masklet.object_id: masklet for masklet in newest.masklets}

    def wait_for(self, event: Callable[[], object], purpose: str, timeout: float = TIMEOUT) -> None:
        with self._arrival:
            deadline = time.monotonic() + timeout
            while not event():
                ended = [name for name, process in self.graph.processes.items() if process.poll() is not None]
                assert not ended, f"{ended[0]} has ended: {self.graph.last_lines(ended[0], 20)}"
                assert time.monotonic() < deadline, f"waited in vain {purpose}"
                self._arrival.wait(0.05)

    def _on_masklets(self, message: msg.MaskletArray) -> None:
        with self._arrival:
            self.masklets[nanoseconds(message.header.stamp)] = message
            self._arrival.notify_all()

    def _on_result(self, message: msg.PromptResult) -> None:
        with self._arrival:
            self.results.append(message)
            self._arrival.notify_all()


def _pixels(mask: msg.Mask) -> np.ndarray:
    return rle.decode(np.asarray(mask.counts), mask.height, mask.width)
