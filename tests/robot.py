"""A robot for the nodes under test: real rclpy, real DDS, a domain of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import node_log
import numpy as np
import rclpy
from geometry_msgs.msg import Point, PointStamped
from rcl_interfaces.srv import GetParameters
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import EXECUTOR_THREADS, Sam2Node
from sam2_ros.ros.stamps import time_message

TIMEOUT = 60.0  # s; generous, because the machine may be busy: only failures take so long
START = 1_700_000_000_000_000_000  # ns, of the first image
PERIOD = 100_000_000  # ns between images
SIZE = (96, 128)  # of the images, rows and columns


def picture(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Image number `index` of the test sequence: a bright square that moves over noise."""
    height, width = size
    pixels = np.random.default_rng(7).integers(0, 80, (height, width, 3), dtype=np.uint8)
    pixels[height // 4 : height // 2, width // 8 + 2 * index : width // 3 + 2 * index] = (250, 200, 40)
    return pixels


def stamp_of(index: int) -> int:
    return START + index * PERIOD


def header_of(index: int) -> Header:
    return Header(stamp=time_message(stamp_of(index)), frame_id="camera_optical")


def sees_camera(node: Sam2Node) -> bool:
    """Whether a node with one camera is active and has discovered a publisher of its images."""
    subscriptions = node.cameras[0].inputs._subscriptions
    return bool(subscriptions) and subscriptions[0].get_publisher_count() > 0


NEWEST = Header()
CLICK = msg.Prompt(clicks=[msg.Click(x=40.0, y=36.0)])
BOX = msg.Prompt(box=RegionOfInterest(x_offset=16, y_offset=24, width=26, height=24))


class Robot(Node):
    """The rest of the graph: a camera, an operator, and a subscriber to the answers."""

    def __init__(self, context: Context, namespace: str = "") -> None:
        super().__init__("robot", context=context, namespace=namespace)
        self._arrival = threading.Condition()
        self.received: dict[str, list] = {}
        camera = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.camera = self.create_publisher(Image, "image", camera)
        self.prompts = self.create_publisher(msg.PromptArray, "sam2/prompts", 10)
        self.clicks = self.create_publisher(PointStamped, "sam2/click", 10)
        self.mouse = self.create_publisher(Point, "image_mouse_left", 10)
        self.overlay_mouse = self.create_publisher(Point, "sam2/overlay_mouse_left", 10)
        self.listen(msg.MaskletArray, "sam2/masklets")
        self.listen(msg.PromptResult, "sam2/prompt_results")

    def listen(self, kind: type, topic: str, qos: QoSProfile | int = 1000) -> list:
        """Collects the messages of a topic."""
        messages = self.received.setdefault(topic, [])

        def collect(message: object) -> None:
            with self._arrival:
                messages.append(message)
                self._arrival.notify_all()

        self.create_subscription(kind, topic, collect, qos)
        return messages

    @property
    def masklets(self) -> list[msg.MaskletArray]:
        return self.received["sam2/masklets"]

    @property
    def results(self) -> list[msg.PromptResult]:
        return self.received["sam2/prompt_results"]

    def wait_for(self, event: Callable[[], bool], purpose: str = "", timeout: float = TIMEOUT) -> None:
        with self._arrival:
            deadline = time.monotonic() + timeout
            while not event():  # changes of the graph send no notification, so poll as well
                assert time.monotonic() < deadline, f"waited in vain {purpose}"
                self._arrival.wait(0.02)

    def wait_for_line(self, text: str) -> str:
        """Waits until a node of this process has logged a text. Returns the log. For tests with `capfd`."""
        self.wait_for(lambda: text in node_log.written(), f"for a line with {text!r}")
        return node_log.written()

    def wait_until_connected(self) -> None:
        """Waits until the node is active, and all topics have publishers and subscribers."""
        publishers = (self.camera, self.prompts, self.clicks, self.mouse, self.overlay_mouse)
        self.wait_for(lambda: all(publisher.get_subscription_count() for publisher in publishers), "for the node")
        self.wait_for(lambda: all(map(self.count_publishers, self.received)), "for the node's topics")

    def wait_until_discovered(self, name: str = "sam2") -> None:
        """Waits until a node in another process is connected, and knows this one, which may take longer.

        Before that, images are lost. Discovery goes in the order in which topics and services were created, so who
        answers a new client has discovered all topics.
        """
        self.wait_until_connected()
        self.call(GetParameters, f"{name}/get_parameters", names=["use_sim_time"])

    def show(self, index: int, pixels: np.ndarray | None = None) -> msg.MaskletArray:
        """Sends an image and waits for its masklets."""
        message = to_message(picture(index) if pixels is None else pixels, "rgb8", header_of(index))
        return self.send(message)

    def send(self, message: Image) -> msg.MaskletArray:
        count = len(self.masklets)
        self.camera.publish(message)
        self.wait_for(lambda: len(self.masklets) > count, "for masklets")
        return self.masklets[count]

    def prompt(self, *prompts: msg.Prompt, header: Header = NEWEST) -> list[msg.PromptResult]:
        """Sends prompts by topic and waits for their results."""
        count = len(self.results)
        self.prompts.publish(msg.PromptArray(header=header, prompts=list(prompts)))
        return self.next_results(count, len(prompts))

    def next_results(self, after: int, number: int = 1) -> list[msg.PromptResult]:
        self.wait_for(lambda: len(self.results) >= after + number, "for prompt results")
        return self.results[after:]

    def call(self, kind: type, name: str, **request: object) -> object:
        """Calls a service."""
        client = self.create_client(kind, name)
        assert client.wait_for_service(TIMEOUT), f"there is no service {name}"
        answer = client.call_async(kind.Request(**request))
        self.wait_for(answer.done, f"for {name}")
        self.destroy_client(client)
        return answer.result()


class Graph:
    """Nodes of one test, spun in a thread."""

    def __init__(self, domain: int) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.executor = MultiThreadedExecutor(EXECUTOR_THREADS + 4, context=self.context)
        self.errors: list[Exception] = []
        self._nodes: list[Node] = []
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self.robot = self.add(Robot(self.context))

    def _spin(self) -> None:
        while self.context.ok():
            try:
                self.executor.spin()
            except ExternalShutdownException:
                return
            except InvalidHandle:  # an entity was destroyed while the executor used it
                continue
            except Exception as error:
                if self.context.ok():  # a shutdown may arrive while the executor is about to wait
                    self.errors.append(error)

    def add(self, node: Node) -> Node:
        self._nodes.append(node)
        self.executor.add_node(node)
        return node

    def sam2(self, **parameters: object) -> Sam2Node:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        return self.add(Sam2Node(context=self.context, parameter_overrides=overrides))

    def remove(self, node: Node) -> None:
        self._nodes.remove(node)
        self.executor.remove_node(node)
        node.destroy_node()

    def close(self) -> None:
        for node in self._nodes:
            if isinstance(node, Sam2Node):
                node._release()
        rclpy.shutdown(context=self.context)
        self._thread.join(TIMEOUT)
        for node in self._nodes:
            node.destroy_node()
        assert not self.errors, self.errors
