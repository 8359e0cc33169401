"""The link to one camera of a sam2 node: subscriptions and services."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from sam2_ros.data.message_stamp import stamp_of
from sam2_ros.desk.live.camera_image import CameraImage
from sam2_ros.desk.live.ros_thread import RosThread
from sam2_ros.desk.live.service_client import ServiceClient
from sam2_ros.msg import MaskletArray, PromptArray
from sam2_ros.srv import ListObjects, PromptObject, RemoveObject, SegmentEverything, SegmentImage

IMAGES: dict[str, type[Image] | type[CompressedImage]] = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
}

MAX_WAITING = 8
"""Maximum number of messages of a topic that wait for the event loop; the oldest are dropped."""


@dataclass
class Arrivals:
    """What has arrived for a camera and was not taken yet."""

    pictures: deque[CameraImage] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    masklets: deque[tuple[bytes, float]] = field(default_factory=lambda: deque(maxlen=4 * MAX_WAITING))
    """Serialised, and the wall clock time of their arrival, ms."""
    applied: deque[bytes] = field(default_factory=lambda: deque(maxlen=4 * MAX_WAITING))
    """Serialised prompts that were applied."""


class CameraLink:
    """Subscribes to a camera's masklets always, and to its images while somebody watches.

    Messages stay serialised here: most are not looked into. All methods but `call` run in the thread of ROS.

    Args:
        name: of the camera: the beginning of its topics.
        on_arrival: called in the thread of ROS after something was added to `arrivals`.
    """

    def __init__(self, ros: RosThread, name: str, on_arrival: Callable[[], None]) -> None:
        self._ros = ros
        self._on_arrival = on_arrival
        self.arrivals = Arrivals()
        node = ros.node
        make = partial(node.create_subscription, raw=True)
        self._subscriptions = [
            make(MaskletArray, f"{name}/masklets", self._on_masklets, QoSProfile(depth=10)),
            make(PromptArray, f"{name}/applied_prompts", self._on_applied, QoSProfile(depth=100)),
        ]
        self._images: Subscription | None = None
        self.prompt = ServiceClient(ros, PromptObject, f"{name}/prompt")
        self.segment = ServiceClient(ros, SegmentImage, f"{name}/segment")
        self.everything = ServiceClient(ros, SegmentEverything, f"{name}/segment_everything")
        self.remove = ServiceClient(ros, RemoveObject, f"{name}/remove")
        self.list = ServiceClient(ros, ListObjects, f"{name}/list")
        self.reset, self.pause, self.resume = (
            ServiceClient(ros, Trigger, f"{name}/{service}") for service in ("reset", "pause", "resume")
        )

    def watch(self, topic: str) -> bool:
        """Subscribe to images on a topic; empty: to none. Returns whether the topic has publishers, if there is one."""
        node = self._ros.node
        publishers = node.get_publishers_info_by_topic(topic) if topic else []
        kind = next((IMAGES[one.topic_type] for one in publishers if one.topic_type in IMAGES), None)
        images = self._images
        if images is not None and (images.topic_name != topic or (kind is not None and images.msg_type is not kind)):
            node.destroy_subscription(images)
            self._images = None
        if self._images is None and kind is not None:
            # A best-effort subscription matches all publishers, and makes none wait.
            qos = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._images = node.create_subscription(kind, topic, partial(self._on_image, kind), qos, raw=True)
        return kind is not None

    def close(self) -> None:
        """Unsubscribe."""
        node = self._ros.node
        self.watch("")
        for subscription in self._subscriptions:
            node.destroy_subscription(subscription)
        for client in (self.prompt, self.segment, self.everything, self.remove, self.list):
            client.close()
        for client in (self.reset, self.pause, self.resume):
            client.close()

    def _on_image(self, kind: type[Image] | type[CompressedImage], data: bytes) -> None:
        self.arrivals.pictures.append(CameraImage(stamp_of(data), data, kind))
        self._on_arrival()

    def _on_masklets(self, data: bytes) -> None:
        self.arrivals.masklets.append((data, 1000 * time.time()))
        self._on_arrival()

    def _on_applied(self, data: bytes) -> None:
        self.arrivals.applied.append(data)
        self._on_arrival()
