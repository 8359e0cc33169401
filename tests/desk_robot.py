"""A robot that an operator's desk looks at: camera, sam2 and desk as processes, and a node that sees what they say."""

from __future__ import annotations

import hashlib
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
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros import msg, srv
from sam2_ros.data.clip import Clip
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.stamps import nanoseconds, time_message
from sam2_ros.scenes.demo_scene import demo_scene
from sam2_ros.tracking import rle

TIMEOUT = 90.0  # s; generous, because the machine may be busy: only failures take so long
FRAMES = 46
"""Of the demo's scene, in which the car drives from the left to the middle; the pot does not hide it yet."""

HISTORY = 100
"""Images that the node keeps, and can still be prompted on."""


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
        self.frames: dict[int, int] = {}
        """Which frame of the scene each image is, by its stamp, ns."""
        self.graph = Graph(folder / "logs")
        self._arrival = threading.Condition()
        self._source, self._rate = folder / "images", rate
        self._frame_of = {_digest(frame[..., ::-1].tobytes()): index for index, frame in enumerate(self.clip.frames)}

    def __enter__(self) -> DeskRobot:
        self.graph.start("sam2", "sam2_ros.ros.node", "--ros-args", "-p", f"history:={HISTORY}")
        self.start_desk()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=self.graph.domain)
        self._node = Node("witness", context=self._context)
        self._node.create_subscription(msg.MaskletArray, "/sam2/masklets", self._on_masklets, QoSProfile(depth=100))
        self._node.create_subscription(msg.PromptResult, "/sam2/prompt_results", self._on_result, QoSProfile(depth=100))
        self._node.create_subscription(Image, "/image", self._on_image, qos_profile_sensor_data)
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
        self.graph.start("desk", "sam2_ros.commands.desk", "--port", str(port))

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
        return {masklet.object_id: pixels(masklet.mask) for masklet in self.masklets[stamp].masklets}

    def candidates(self, stamp: int, x: int, y: int) -> list[np.ndarray]:
        """What a click on an image may mean, best first: bool [H, W] each."""
        header = Header(stamp=time_message(stamp))
        click = msg.Prompt(clicks=[msg.Click(x=float(x), y=float(y), positive=True)])
        answer = self.call(srv.SegmentImage, "/sam2/segment", image=Image(header=header), prompts=[click])
        assert answer.success, answer.message
        return [pixels(masklet.mask) for masklet in answer.results[0].masklets]

    def result(self, after: int) -> msg.PromptResult:
        """The answer to the prompt after that many others."""
        self.wait_for(lambda: len(self.results) > after, "for the answer to a prompt")
        return self.results[after]

    def objects(self) -> dict[int, msg.Masklet]:
        """What is tracked now, by object ID."""
        with self._arrival:
            newest = self.masklets[max(self.masklets)]
        return {masklet.object_id: masklet for masklet in newest.masklets}

    def truth(self, stamp: int, object_id: int) -> np.ndarray:
        """The true mask of a thing of the scene on an image: bool [H, W]."""
        self.wait_for(lambda: stamp in self.frames, f"for the image of {stamp}")
        masks = self.clip.masks[self.frames[stamp]]
        assert masks is not None
        return masks[self.clip.object_ids.index(object_id)]

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

    def _on_image(self, message: Image) -> None:
        with self._arrival:
            self.frames[nanoseconds(message.header.stamp)] = self._frame_of[_digest(bytes(message.data))]
            self._arrival.notify_all()

    def _on_result(self, message: msg.PromptResult) -> None:
        with self._arrival:
            self.results.append(message)
            self._arrival.notify_all()


def _digest(pixels: bytes) -> bytes:
    return hashlib.blake2b(pixels, digest_size=16).digest()


def pixels(mask: msg.Mask) -> np.ndarray:
    return rle.decode(np.asarray(mask.counts), mask.height, mask.width)
