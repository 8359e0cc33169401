"""Bytes on the wire that are no message of the topic's type."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from fuzz import scene
from fuzz.answers import tagged
from fuzz.attack import Attack
from fuzz.rig import Rig
from sam2_ros import msg
from sam2_ros.ros.images import to_jpeg, to_message

KINDS = {
    "image": Image,
    "image/compressed": CompressedImage,
    "sam2/prompts": msg.PromptArray,
    "sam2/click": PointStamped,
    "image_mouse_left": Point,
}


class Garbage(Attack):
    """Messages that are cut off, whose lengths are wrong, or that are noise."""

    name = "bytes on the wire"

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._publishers = {topic: rig.publisher(kind, topic) for topic, kind in KINDS.items()}
        head, prompt = Header(frame_id=tagged("garbage")), scene.prompt(0, 0, "click")
        picture = scene.picture(0)
        self._wire = {
            "image": serialize_message(to_message(picture, "rgb8", head)),
            "image/compressed": serialize_message(to_jpeg(picture, head)),
            "sam2/prompts": serialize_message(msg.PromptArray(header=head, prompts=[prompt])),
            "sam2/click": serialize_message(PointStamped(header=head)),
            "image_mouse_left": serialize_message(Point()),
        }

    def send(self, random: np.random.Generator) -> str:
        topics = [topic for topic in KINDS if not topic.startswith("image") or topic.endswith("left")]
        topics.append("image" if self.rig.transport == "raw" else "image/compressed")
        topic = topics[random.integers(len(topics))]
        whole = self._wire[topic]
        wrong = random.integers(3)
        if wrong == 0:
            data = whole[: 4 + int(random.integers((len(whole) - 4) // 2))]
        elif wrong == 1 and len(whole) > 40:  # the length of frame_id stands behind the stamp
            length = int(random.choice([2**32 - 1, 2**31, 2**31 - 1, 100_000_000]))
            data = whole[:12] + length.to_bytes(4, "little") + whole[16:]
        else:
            data = whole[:4] + random.bytes(int(random.integers(12)))
        if topic == "sam2/prompts":  # cut off at the clicks, it arrives as a prompt without any
            self.rig.answers.expect("garbage", at_most=True)
        self._publishers[topic].publish(bytes(data))
        return f"{len(data)} bytes on {topic} that are no message"
