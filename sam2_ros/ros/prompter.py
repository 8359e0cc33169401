"""Sends a prompt from the command line and prints its result."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import numpy as np
import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.client import Client
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.node import NodeNameNonExistentError as NoSuchNode
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from sam2_ros.command_line import CommandParser
from sam2_ros.data.mask_file import read_mask
from sam2_ros.msg import Click, Prompt, PromptResult
from sam2_ros.ros import process
from sam2_ros.ros.discovery import matching_qos, message_type
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.srv import ListObjects, PromptObject
from sam2_ros.tracking.prompt import MAX_OBJECT_ID

EXAMPLES = """
%(prog)s --click 640,360 --label cup
%(prog)s --object-id 1 --negative 700,380      (refines it)
%(prog)s --box 100,80,60,40
%(prog)s --object-id 1 --label mug             (renames it)
"""
IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
SERVICE = "sam2_ros/srv/PromptObject"
HINT_AFTER = 1.0
"""Seconds without an answer until the missing node or topic is logged."""

REDISCOVERY_TIMEOUT = 3.5
"""Seconds for a middleware to repeat a discovery packet that was lost on a busy machine."""


class Prompter(Node):
    """Sends prompts to a `sam2` node, with errors that name the cause.

    Args:
        sam2: the node's name, with its namespace where that differs from this node's.

    Raises:
        ValueError: `sam2` is not a valid node name.
    """

    def __init__(self, sam2: str = "sam2", **kwargs) -> None:
        super().__init__("prompter", **kwargs)
        try:
            self._prompt = self.create_client(PromptObject, f"{sam2}/prompt")
        except NameValidationException as error:
            self.destroy_node()
            raise ValueError(f"{sam2!r} is not the name of a node (--node)") from error
        self.sam2 = self.resolve_service_name(f"{sam2}/prompt").removesuffix("/prompt")
        """The node's name, with its namespace."""
        self._list = self.create_client(ListObjects, f"{self.sam2}/list")
        self._get_state = self.create_client(GetState, f"{self.sam2}/get_state")

    def connect(self, wait: float) -> None:
        """Waits until the node is discovered and active.

        Args:
            wait: seconds for a node that is still starting.

        Raises:
            TimeoutError: the node is missing or inactive; the message names the remedy.
        """
        deadline = time.monotonic() + wait
        if not self._spin_until(self._prompt.service_is_ready, wait):
            others = self._nodes()
            if others:
                raise TimeoutError(f"there is no node {self.sam2}, but {', '.join(others)}: --node {others[0]}")
            self.get_logger().info(f"No sam2 node found yet; looking for {REDISCOVERY_TIMEOUT:g} s more")
            if not self._spin_until(self._prompt.service_is_ready, REDISCOVERY_TIMEOUT):
                raise TimeoutError(
                    f"no sam2 node can be found (ROS_DOMAIN_ID is {os.environ.get('ROS_DOMAIN_ID') or '0'}). Start one"
                    " with `ros2 launch sam2_ros sam2.launch.py`; while it starts, --wait SECONDS waits for it"
                )
        setting = f"`ros2 lifecycle set {self.sam2}"
        remedies = {
            "unconfigured": f"is not configured, its log says why; {setting} configure` and `... activate` start it",
            "inactive": f"is paused (inactive); {setting} activate` lets it go on",
            "finalized": "has been shut down; start it again",
        }
        # A node that does not answer is busy; its answer to the prompt itself says more.
        while (state := self._state()) in remedies:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.sam2} {remedies[state]}")
            self._spin_until(lambda: False, 0.1)

    def find_images(self, wait: float) -> None:
        """Waits for an image that can be prompted, or for a publisher of images.

        Args:
            wait: seconds for a camera that is still starting.

        Raises:
            TimeoutError: there is none; the message names the node's image topics, and topics with images.
        """
        topics = self._image_topics()

        def available() -> bool:
            return not topics or self._is_published(topics) or self._has_images()

        if self._spin_until(available, wait):
            return
        self.get_logger().info(
            f"No publisher found yet on {' or '.join(topics)}; looking for {REDISCOVERY_TIMEOUT:g} s more"
        )
        if self._spin_until(available, REDISCOVERY_TIMEOUT):
            return
        published = self._published_image_topics()
        hint = ""
        if published:
            hint = f". There are images on {', '.join(published)}: start the node with image:={published[0]}"
        raise TimeoutError(
            f"there is no publisher on {' or '.join(topics)}, from which {self.sam2} takes its images" + hint
        )

    def first_image(self, topic: str, wait: float, timeout: float) -> Header:
        """Waits for the next image on a topic, raw or compressed, and returns its header.

        Args:
            wait: seconds for a publisher.
            timeout: seconds for the image.

        Raises:
            TimeoutError: there is no publisher, or no image arrives.
        """
        topic = self.resolve_topic_name(topic)
        if not self._spin_until(lambda: self.count_publishers(topic), wait):
            others = ", ".join(self._published_image_topics()) or "no topic"
            raise TimeoutError(f"there is no publisher on {topic}; there are images on {others}")
        publishers = self.get_publishers_info_by_topic(topic)
        headers: list[Header] = []
        subscription = self.create_subscription(
            message_type(publishers),
            topic,
            lambda message: headers.append(message.header),
            matching_qos(publishers, depth=10),  # on a busy machine, later images arrive before the first one is read
        )
        if not self._spin_until(lambda: headers, timeout):
            raise TimeoutError(f"no image has come on {topic} for {timeout:g} s")
        self.destroy_subscription(subscription)
        return headers[0]

    def send(self, prompt: Prompt, header: Header, timeout: float) -> PromptResult:
        """Sends a prompt for the image with this header, or the newest if it is empty, and waits for the result.

        Raises:
            TimeoutError: no result came within `timeout` seconds.
        """
        answer = self._prompt.call_async(PromptObject.Request(header=header, prompt=prompt))
        if not self._spin_until(answer.done, min(HINT_AFTER, timeout)):
            topics = " or ".join(self._image_topics()) or "its image topic"
            self.get_logger().info(f"Waiting for {self.sam2} and an image on {topics}")
            if not self._spin_until(answer.done, timeout - HINT_AFTER):
                raise TimeoutError(f"the prompt was sent, but {self.sam2} has not answered for {timeout:g} s")
        return answer.result().result

    def _nodes(self) -> list[str]:
        """The sam2 nodes in the graph."""
        return sorted(
            name.removesuffix("/prompt")
            for name, kinds in self.get_service_names_and_types()
            if SERVICE in kinds and self.count_services(name)  # otherwise a client, such as this node
        )

    def _state(self) -> str:
        """The node's lifecycle state; empty: no answer."""
        answer = self._call(self._get_state, GetState.Request())
        return "" if answer is None else answer.current_state.label

    def _image_topics(self) -> list[str]:
        """The node's image topics, if discovered already."""
        namespace, name = self.sam2.rsplit("/", 1)
        try:
            subscribed = self.get_subscriber_names_and_types_by_node(name, namespace or "/")
        except NoSuchNode:
            return []
        topics = [topic for topic, kinds in subscribed if set(kinds) & set(IMAGES)]
        return [topic for topic in topics if "depth" not in topic] or topics  # the node subscribes to depth, too

    def _published_image_topics(self) -> list[str]:
        """Image topics with publishers, except for the node's own."""
        return sorted(
            topic
            for topic, kinds in self.get_topic_names_and_types()
            if set(kinds) & set(IMAGES) and not topic.startswith(f"{self.sam2}/") and self.count_publishers(topic)
        )

    def _is_published(self, topics: list[str]) -> bool:
        return any(map(self.count_publishers, topics))

    def _has_images(self) -> bool:
        """Whether the node has an image that can still be prompted."""
        listed = self._call(self._list, ListObjects.Request())
        return listed is not None and bool(listed.history)

    def _call(self, client: Client, request: object):
        """The node's answer to a service call; None: no answer within `HINT_AFTER`."""
        if not self._spin_until(client.service_is_ready, HINT_AFTER):
            return None
        answer = client.call_async(request)
        return answer.result() if self._spin_until(answer.done, HINT_AFTER) else None

    def _spin_until(self, done: Callable[[], object], timeout: float) -> bool:
        """Spins until a condition holds. Returns False after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                return False
            rclpy.spin_once(self, timeout_sec=0.02)
        return True


def describe(result: PromptResult) -> str:
    """A result in words."""
    stamp = nanoseconds(result.header.stamp) / 1e9
    if not result.accepted:
        return f"refused: {result.message}"
    masklet = result.masklet
    name = f"object {result.object_id}" + (f" ({masklet.label})" if masklet.label else "")
    if not masklet.present:
        absent = f"{name}: not seen on the image of {stamp:.3f}, presence {masklet.presence:.0%}"
        return f"{absent}; if it is there, point at it once more, elsewhere"
    box = masklet.box
    area = sum(masklet.mask.counts[1::2])
    return (
        f"{name}: {area} pixels within {box.width} x {box.height} at ({box.x_offset}, {box.y_offset}),"
        f" presence {masklet.presence:.0%}, predicted IoU {masklet.iou:.2f}, on the image of {stamp:.3f}"
    )


def mask_message(mask: np.ndarray) -> Image:
    """The image message of a mask, bool [H, W], for a prompt."""
    from sam2_ros.ros.images import to_message

    return to_message(mask.astype(np.uint8) * 255, "mono8", Header())


def _numbers(count: int) -> Callable[[str], tuple[float, ...]]:
    def parse(text: str) -> tuple[float, ...]:
        numbers = tuple(float(part) for part in text.split(","))
        if len(numbers) != count:
            raise ValueError
        return numbers

    parse.__name__ = "X,Y" if count == 2 else "X,Y,WIDTH,HEIGHT"  # the name in argparse's errors
    return parse


def _arguments() -> argparse.Namespace:
    usage = "%(prog)s (--click X,Y | --box X,Y,WIDTH,HEIGHT | --mask FILE | --negative X,Y) ... [options]"
    parser = CommandParser("sam2_ros.ros.prompter", __doc__.splitlines()[0], EXAMPLES, usage)
    parser.add_argument("--click", metavar="X,Y", type=_numbers(2), action="append", default=[], help="on the object")
    parser.add_argument("--negative", metavar="X,Y", type=_numbers(2), action="append", default=[], help="not on it")
    parser.add_argument("--box", metavar="X,Y,WIDTH,HEIGHT", type=_numbers(4), help="around it, pixels")
    parser.add_argument("--mask", metavar="FILE", help="image file of the frame's size, not black on the object")
    parser.add_argument("--label", default="", help="its name")
    parser.add_argument("--object-id", type=int, default=0, help="refine this object; 0: a new one")
    parser.add_argument("--replace", action="store_true", help="discard the object's earlier prompts and memory")
    first = "prompt the first image that comes on this topic, as when a bag is played; default: the newest"
    parser.add_argument("--first-image", metavar="TOPIC", help=first)
    parser.add_argument("--node", default="sam2", help="name of the sam2 node (default: %(default)s)")
    wait = (
        "seconds to wait at least for a node or a camera that is still starting; discovery may take up to"
        f" {REDISCOVERY_TIMEOUT:g} s more (default: %(default)g)"
    )
    parser.add_argument("--wait", type=float, default=2.0, metavar="SECONDS", help=wait)
    timeout = "seconds for the answer (default: %(default)g)"
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help=timeout)
    options = parser.parse_args(process.own_arguments("prompt"))
    renames = options.object_id and options.label and not options.replace
    if not (options.click or options.negative or options.box or options.mask or renames):
        parser.error("say what to point at: --click, --negative, --box or --mask; or rename: --object-id and --label")
    return options


def _prompt(arguments: argparse.Namespace) -> Prompt:
    if not 0 <= arguments.object_id <= MAX_OBJECT_ID:
        raise ValueError(f"an object ID is a number from 1 to {MAX_OBJECT_ID}, or 0 for a new object")
    clicks = [Click(x=x, y=y) for x, y in arguments.click]
    clicks += [Click(x=x, y=y, positive=False) for x, y in arguments.negative]
    prompt = Prompt(object_id=arguments.object_id, label=arguments.label, clicks=clicks, replace=arguments.replace)
    if arguments.box:
        x, y, width, height = (round(number) for number in arguments.box)
        if min(x, y) < 0 or min(width, height) < 1:
            raise ValueError("a box has a corner X,Y within the image, and at least one pixel of WIDTH and HEIGHT")
        prompt.box = RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)
    if arguments.mask:
        prompt.mask = mask_message(read_mask(arguments.mask))
    return prompt


def main() -> int:
    arguments = _arguments()
    return process.run("prompt", lambda: _run(arguments), interrupted=130)


def _run(arguments: argparse.Namespace) -> int:
    prompter = None
    try:
        prompt = _prompt(arguments)
        prompter = Prompter(arguments.node)
        prompter.connect(arguments.wait)
        if arguments.first_image:
            header = prompter.first_image(arguments.first_image, arguments.wait, arguments.timeout)
        else:
            header = Header()
            prompter.find_images(arguments.wait)
        result = prompter.send(prompt, header, arguments.timeout)
    except (ValueError, OverflowError, TimeoutError, ImportError) as error:
        print(f"prompt: {error}", file=sys.stderr)
        return 1
    finally:
        if prompter is not None:
            prompter.destroy_node()
    print(describe(result))
    return 0 if result.accepted else 1


if __name__ == "__main__":
    sys.exit(main())
