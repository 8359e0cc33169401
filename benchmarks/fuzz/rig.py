"""The victim, which is attacked, its twin, which is not, and the node that talks to both."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from fuzz import scene
from fuzz.answers import Answers
from sam2_ros import msg
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.images import to_jpeg, to_message

START_TIMEOUT = 600.0  # s; the first start may have to compile kernels
DEAD = 30.0
"""Seconds without an answer after which the run ends."""
MAX_CALLS = 8
"""Maximum number of unanswered calls of one service: the middleware keeps the last ten requests."""
DEEP = QoSProfile(depth=1000)


class Dead(RuntimeError):
    """A node has ended, or does not answer any more."""


class Side:
    """One of the two nodes, as the rest of its graph sees it."""

    def __init__(self, rig: Rig, name: str) -> None:
        self.name = name
        self.masklets: list[msg.MaskletArray] = []
        """Everything that came and was not yet compared."""
        self.results: dict[str, msg.PromptResult] = {}
        """Answers to the good prompts, by tag."""
        self._rig = rig
        node = rig.node
        self.images = {
            "raw": node.create_publisher(Image, f"/{name}/image", DEEP),
            "compressed": node.create_publisher(CompressedImage, f"/{name}/image/compressed", DEEP),
        }
        self.prompts = node.create_publisher(msg.PromptArray, f"/{name}/sam2/prompts", DEEP)
        node.create_subscription(msg.MaskletArray, f"/{name}/sam2/masklets", self._on_masklets, DEEP)
        node.create_subscription(msg.PromptResult, f"/{name}/sam2/prompt_results", self._on_result, DEEP)
        self.change_state = node.create_client(ChangeState, f"/{name}/sam2/change_state")
        self.set_parameters = node.create_client(SetParametersAtomically, f"/{name}/sam2/set_parameters_atomically")

    def _on_masklets(self, message: msg.MaskletArray) -> None:
        self._rig.notice(lambda: self.masklets.append(message))

    def _on_result(self, result: msg.PromptResult) -> None:
        if self.name == "victim":
            self._rig.answers.receive(result)
        text = result.masklet.label if result.accepted else result.header.frame_id
        if text.startswith("good "):
            self._rig.notice(lambda: self.results.__setitem__(text.partition("|")[0], result))
        else:
            self._rig.notice(lambda: None)

    def has(self, stamp: int) -> bool:
        """Whether masklets with this stamp have come, ns."""
        return any(_nanoseconds(message.header) == stamp for message in reversed(self.masklets))

    def transition(self, *transitions: int) -> None:
        """Makes lifecycle transitions. Raises Dead if one is refused."""
        for transition in transitions:
            request = ChangeState.Request(transition=Transition(id=transition))
            if not self._rig.ask(self.change_state, request, START_TIMEOUT).success:
                raise Dead(f"the {self.name} has refused the transition {transition}")

    def is_listening(self, transport: str) -> bool:
        return bool(self.images[transport].get_subscription_count() and self.prompts.get_subscription_count())


class Rig:
    """Starts both nodes as processes on a domain of their own, and ends them when the `with` block ends.

    Args:
        logs: folder for the nodes' output.
        parameters: parameters of both nodes, NAME:=VALUE.
    """

    def __init__(self, logs: Path, parameters: list[str]) -> None:
        self.graph = Graph(logs)
        os.environ.update(self.graph.environment)
        self.transport, self.keep_all, self.max_objects = "raw", True, 8
        self.index = -1
        """Of the newest good image."""
        self.answers = Answers()
        self.calls: Counter[str] = Counter()
        """Calls of the victim's services, by service."""
        self.answered: Counter[str] = Counter()
        self.active = True
        self.strays = 0
        """Readable images with odd stamps since the newest good image. Three could make a jump of time."""
        self._publishers: list[Publisher] = []
        self._arrival = threading.Condition()
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context)
        self.node = rclpy.create_node("fuzz", context=self._context)
        self.victim, self.twin = Side(self, "victim"), Side(self, "twin")
        for output in ("labels", "overlay"):  # computed only while somebody listens
            self.listen(Image, output)
        self.sides = (self.victim, self.twin)
        self._publishers += [*self.victim.images.values(), self.victim.prompts]
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name="graph", daemon=True)
        for side in self.sides:
            own = [f"save_folder:={logs}/saved", f"max_objects:={self.max_objects}"]
            for suffix in ("", "/compressed"):
                own.append(f"qos_overrides./{side.name}/image{suffix}.subscription.reliability:=reliable")
            words = [word for parameter in (*own, *parameters) for word in ("-p", parameter)]
            self.graph.start(side.name, "sam2_ros.ros.node", "--ros-args", "-r", f"__ns:=/{side.name}", *words)

    def __enter__(self) -> Rig:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.graph.__exit__(None, None, None)
        rclpy.shutdown(context=self._context)
        self._thread.join()
        self.node.destroy_node()

    def _spin(self) -> None:
        try:
            while self._context.ok():
                self._executor.spin_once(timeout_sec=0.5)
        except ExternalShutdownException:
            pass
        except Exception:
            if self._context.ok():  # otherwise the run has ended
                raise

    def notice(self, change: Callable[[], object]) -> None:
        """Makes a change that `wait_for` may wait for."""
        with self._arrival:
            change()
            self._arrival.notify_all()

    def wait_for(self, event: Callable[[], object], purpose: str, timeout: float = DEAD) -> None:
        """Waits for an event. Raises Dead after the timeout, or if a node has ended."""
        end = time.monotonic() + timeout
        with self._arrival:
            while not event():
                for name, process in self.graph.processes.items():
                    if process.poll() is not None:
                        lines = self.graph.last_lines(name, 10)
                        raise Dead(f"the {name} has ended with status {process.returncode}. It wrote:\n{lines}")
                if time.monotonic() > end:
                    raise Dead(f"waited in vain for {purpose}, {timeout:g} s")
                self._arrival.wait(0.1)

    # Calls

    def client(self, kind: type, name: str) -> Client:
        """A client of one of the victim's services."""
        return self.node.create_client(kind, f"/victim/sam2/{name}")

    def call(self, client: Client, request: object, read: Callable[[Any], object] = lambda _: None) -> None:
        """Calls the victim. The answer is only read, in another thread, and counted."""
        name = client.srv_name.rsplit("/", 1)[1]
        self.wait_for(lambda: self.calls[name] - self.answered[name] < MAX_CALLS, f"answers of ~/{name}")
        self.calls[name] += 1

        def count(answer: Future) -> None:
            read(answer.result())
            self.notice(lambda: self.answered.update([name]))

        client.call_async(request).add_done_callback(count)

    def ask(self, client: Client, request: object, timeout: float = DEAD) -> object:
        """Calls one of the nodes, and waits for the answer."""
        answer = client.call_async(request)
        answer.add_done_callback(lambda _: self.notice(lambda: None))
        self.wait_for(answer.done, f"the answer of {client.srv_name}", timeout)
        return answer.result()

    @property
    def unanswered_calls(self) -> Counter[str]:
        return self.calls - self.answered

    # Topics

    def listen(self, kind: type, output: str) -> None:
        """Subscribes to one of the victim's outputs, and ignores it."""
        self.node.create_subscription(kind, f"/victim/sam2/{output}", lambda message: None, 1)

    def publisher(self, kind: type, topic: str) -> Publisher:
        """A publisher on one of the victim's topics, such as `image` or `sam2/prompts`."""
        publisher = self.node.create_publisher(kind, f"/victim/{topic}", DEEP)
        self._publishers.append(publisher)
        return publisher

    @contextmanager
    def inactive(self) -> Iterator[None]:
        """Deactivates the victim for a while."""
        heard = [publisher for publisher in self._publishers if publisher.get_subscription_count()]
        self.victim.transition(Transition.TRANSITION_DEACTIVATE)
        self.active = False
        self.wait_for(lambda: not any(map(Publisher.get_subscription_count, heard)), "the subscriptions to end")
        yield
        self.victim.transition(Transition.TRANSITION_ACTIVATE)
        self.active = True
        self.wait_for(lambda: all(map(Publisher.get_subscription_count, heard)), "the subscriptions")

    # Both nodes

    def start(self) -> None:
        """Waits until both nodes are active."""
        for side in self.sides:
            self.wait_for(lambda side=side: self._is_up(side), f"the {side.name}", START_TIMEOUT)
            self.wait_for(side.change_state.service_is_ready, f"the services of the {side.name}")
            self.wait_for(side.set_parameters.service_is_ready, f"the services of the {side.name}")

    def _is_up(self, side: Side) -> bool:
        if "Not configured:" in (self.graph.logs / f"{side.name}.log").read_text(errors="replace"):
            raise Dead(f"the {side.name} cannot start. It wrote:\n{self.graph.last_lines(side.name)}")
        return side.is_listening(self.transport)

    def good_image(self, index: int) -> Image | CompressedImage:
        pixels = scene.picture(index)
        if self.transport == "compressed":
            return to_jpeg(pixels[..., ::-1].copy(), scene.header(index))
        return to_message(pixels, "rgb8", scene.header(index))

    def show(self, first: bool = False) -> dict[str, float]:
        """Shows the next good image to both nodes, and waits for its masklets. Returns their latencies, s.

        Args:
            first: send it again until there are masklets, since topics are just being discovered.
        """
        self.index += 1
        self.strays = 0
        message, stamp = self.good_image(self.index), scene.stamp(self.index)
        sent, arrived = time.monotonic(), {}

        def all_have() -> bool:
            for side in self.sides:
                if side.name not in arrived and side.has(stamp):
                    arrived[side.name] = time.monotonic()
            return len(arrived) == len(self.sides)

        for side in self.sides:
            side.images[self.transport].publish(message)
        while first and not all_have():
            time.sleep(0.5)
            for side in self.sides:
                if not side.has(stamp):
                    side.images[self.transport].publish(message)
        self.wait_for(all_have, f"the masklets of image {self.index}")
        return {name: then - sent for name, then in arrived.items()}

    def prompt(self, good: msg.Prompt, tag: str) -> list[msg.PromptResult]:
        """Sends a good prompt for the newest good image to both nodes. Returns the victim's and the twin's answer."""
        self.answers.expect(tag)
        good.label = f"{tag}|"
        head = scene.header(self.index)
        head.frame_id = f"{tag}|"
        for side in self.sides:
            side.prompts.publish(msg.PromptArray(header=head, prompts=[good]))
        self.wait_for(lambda: all(tag in side.results for side in self.sides), f"the answers to {tag}")
        return [side.results.pop(tag) for side in self.sides]

    def reconfigure(self, transport: str, keep_all: bool, max_objects: int) -> None:
        """Cleans up both nodes, and configures them anew."""
        values = {"image_transport": transport, "keep_all": keep_all, "max_objects": max_objects}
        for side in self.sides:
            side.transition(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
            parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
            answer = self.ask(side.set_parameters, SetParametersAtomically.Request(parameters=parameters))
            if not answer.result.successful:
                raise Dead(f"the {side.name} has refused {values}: {answer.result.reason}")
            side.transition(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
        self.transport, self.keep_all, self.max_objects = transport, keep_all, max_objects
        self.start()


def _nanoseconds(header: Header) -> int:
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
