"""`prompt`: points at an object from the command line and says what came of it.

ros2 run sam2_ros prompt --click 640,360 --label cup
ros2 run sam2_ros prompt --object-id 1 --negative 700,380
ros2 run sam2_ros prompt --box 100,80,60,40
"""

from __future__ import annotations

import argparse
import sys
import time

import cv2
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from sam2_ros.msg import Click, Prompt, PromptArray, PromptResult
from sam2_ros.ros.discovery import matching_qos, message_type
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.tracking.prompt import MAX_OBJECT_ID


class Prompter(Node):
    """Sends prompts to a `sam2` node and waits for what becomes of them."""

    def __init__(self, sam2: str = "sam2", **kwargs) -> None:
        super().__init__("prompter", **kwargs)
        self._sam2 = sam2
        self._prompts = self.create_publisher(PromptArray, f"{sam2}/prompts", 10)
        self._results: list[PromptResult] = []
        self.create_subscription(PromptResult, f"{sam2}/prompt_results", self._results.append, 100)
        self._applied: list[Prompt] = []
        applied = f"{sam2}/applied_prompts"
        self.create_subscription(PromptArray, applied, lambda message: self._applied.extend(message.prompts), 100)
        self._images: list[Header] = []

    def first_image(self, topic: str, timeout: float) -> Header:
        """The header of the first image, raw or compressed, that comes on a topic from now on. Raises TimeoutError."""
        topic = self.resolve_topic_name(topic)
        self._spin_until(lambda: self.count_publishers(topic), timeout, f"nobody publishes {topic}")
        publishers = self.get_publishers_info_by_topic(topic)
        subscription = self.create_subscription(
            message_type(publishers),
            topic,
            lambda message: self._images.append(message.header),
            matching_qos(publishers, depth=10),  # the next ones come before a busy machine has taken the first
        )
        self._spin_until(lambda: self._images, timeout, f"no image comes on {topic}")
        self.destroy_subscription(subscription)
        return self._images[0]

    def wait_for_listeners(self, number: int, timeout: float) -> None:
        """Until so many listen to prompts: the node, and for instance a recorder. Raises TimeoutError."""
        self._spin_until(
            lambda: (
                self._prompts.get_subscription_count() >= number
                and self.count_publishers(f"{self._sam2}/prompt_results")
                and self.count_publishers(f"{self._sam2}/applied_prompts")
            ),
            timeout,
            f"nobody listens to {self._prompts.topic_name}; is the node active?",
        )

    def send(self, prompt: Prompt, header: Header, timeout: float) -> PromptResult:
        """Sends a prompt, on the image with this header or, where it is empty, the newest; and waits for its result.

        Raises TimeoutError.
        """
        self._results.clear()
        self._applied.clear()
        sent = PromptArray(header=header, prompts=[prompt])
        self._prompts.publish(sent)
        self._spin_until(lambda: self._answers(sent), timeout, "the prompt was sent, but there is no answer to it")
        return self._answers(sent)[0]

    def _answers(self, sent: PromptArray) -> list[PromptResult]:
        """Others may prompt at the same time. Results are told by their object; that of a new one, by what was said."""
        (prompt,) = sent.prompts
        ids = {prompt.object_id} if prompt.object_id else {one.object_id for one in self._applied if _same(one, prompt)}
        return [
            result
            for result in self._results
            if result.object_id in ids or (result.object_id == prompt.object_id and result.header == sent.header)
        ]

    def _spin_until(self, done, timeout: float, complaint: str) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(complaint)
            rclpy.spin_once(self, timeout_sec=0.05)


def _same(applied: Prompt, sent: Prompt) -> bool:
    """Whether it is the prompt that was sent; boxes are cut to the image."""
    kind = (bool(applied.box.width), bool(applied.mask.data)) == (bool(sent.box.width), bool(sent.mask.data))
    return kind and applied.clicks == sent.clicks and applied.label == sent.label


def describe(result: PromptResult) -> str:
    """A result in words."""
    stamp = nanoseconds(result.header.stamp) / 1e9
    if not result.accepted:
        return f"refused: {result.message}"
    masklet = result.masklet
    name = f"object {result.object_id}" + (f" ({masklet.label})" if masklet.label else "")
    if not masklet.present:
        seen = f"{name}: not seen on the image of {stamp:.3f}, presence {masklet.presence:.0%}"
        return f"{seen}; if it is there, point at it once more, elsewhere"
    box = masklet.box
    area = sum(masklet.mask.counts[1::2])
    return (
        f"{name}: {area} pixels within {box.width} x {box.height} at ({box.x_offset}, {box.y_offset}),"
        f" presence {masklet.presence:.0%}, predicted IoU {masklet.iou:.2f}, on the image of {stamp:.3f}"
    )


def _numbers(count: int):
    def parse(text: str) -> tuple[float, ...]:
        numbers = tuple(float(part) for part in text.split(","))
        if len(numbers) != count:
            raise ValueError
        return numbers

    parse.__name__ = "X,Y" if count == 2 else "X,Y,WIDTH,HEIGHT"  # named so in argparse's errors
    return parse


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="prompt", description=__doc__.splitlines()[0])
    parser.add_argument("--click", metavar="X,Y", type=_numbers(2), action="append", default=[], help="on the object")
    parser.add_argument("--negative", metavar="X,Y", type=_numbers(2), action="append", default=[], help="not on it")
    parser.add_argument("--box", metavar="X,Y,WIDTH,HEIGHT", type=_numbers(4), help="around it, pixels")
    parser.add_argument("--mask", metavar="FILE", help="picture of the image's size, not black on the object")
    parser.add_argument("--label", default="", help="its name")
    parser.add_argument("--object-id", type=int, default=0, help="refine this object; 0: a new one")
    parser.add_argument("--replace", action="store_true", help="forget what the object was")
    parser.add_argument(
        "--first-image", metavar="TOPIC", help="on the first image that comes on this topic, not on the newest one"
    )
    parser.add_argument("--node", default="sam2", help="name of the sam2 node")
    parser.add_argument("--listeners", type=int, default=1, help="send once so many listen, as with a recorder")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for each thing it waits for")
    return parser.parse_args(remove_ros_args(sys.argv)[1:])


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
        mask = cv2.imread(arguments.mask, cv2.IMREAD_UNCHANGED)
        if mask is None:
            raise ValueError(f"{arguments.mask} cannot be read as an image")
        mask = mask[..., :3].any(axis=-1) if mask.ndim == 3 else mask > 0
        prompt.mask = to_message(mask.astype(np.uint8) * 255, "mono8", Header())
    return prompt


def main() -> int:
    arguments = _arguments()
    rclpy.init()
    prompter = Prompter(arguments.node)
    try:
        prompt = _prompt(arguments)
        header = Header()
        prompter.wait_for_listeners(arguments.listeners, arguments.timeout)  # first: images may not wait for us
        if arguments.first_image:
            header = prompter.first_image(arguments.first_image, arguments.timeout)
        result = prompter.send(prompt, header, arguments.timeout)
    except (ValueError, OverflowError, TimeoutError, ImportError) as error:
        print(f"prompt: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 1
    finally:
        prompter.destroy_node()
        rclpy.try_shutdown()
    print(describe(result))
    return 0 if result.accepted else 1


if __name__ == "__main__":
    sys.exit(main())
