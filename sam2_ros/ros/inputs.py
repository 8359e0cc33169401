"""The subscriptions of one camera."""

from __future__ import annotations

from geometry_msgs.msg import Point, PointStamped
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.ros.arrival_clock import ArrivalClock
from sam2_ros.ros.configured_stream import ConfiguredStream
from sam2_ros.ros.image_queue import ArrivedImage
from sam2_ros.ros.image_watch import ImageWatch
from sam2_ros.ros.log import Log
from sam2_ros.ros.outputs.answers import PROMPTS_DEPTH
from sam2_ros.ros.prompt_inbox import CLICKS, MOUSE, PromptInbox
from sam2_ros.ros.rate_limit import RateLimit
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.ros.subscriptions import Subscriptions
from sam2_ros.ros.topics import Topics
from sam2_ros.ros.vision_messages import vision_messages


class Inputs(Subscriptions):
    """Subscriptions to images and prompts, while the node is active."""

    def __init__(self, node: Node, topics: Topics, log: Log, configured: ConfiguredStream, inbox: PromptInbox) -> None:
        super().__init__(node)
        self._topics = topics
        self._log = log
        self._configured = configured
        self._inbox = inbox
        self._arrival_clock = ArrivalClock(lambda: node.get_clock().now().nanoseconds)
        self._limit = RateLimit()
        self.watch: ImageWatch | None = None
        """Watches the images, while subscribed to."""

    @property
    def image_topic(self) -> str:
        """The full name of the topic of images."""
        topic: str = self._node.resolve_topic_name(self._topics.input("image"))
        return f"{topic}/compressed" if self._is_compressed else topic

    def open(self) -> None:
        """Subscribe."""
        kind = CompressedImage if self._is_compressed else Image
        keep_all = self._value("keep_all")
        # A reliable subscription does not match a best-effort camera; a best-effort one matches both.
        camera = QoSProfile(
            depth=self._value("queue_size") if keep_all else 5, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        # The depth is queue_size's. If it could be overridden, it would be declared and keep its first value for ever.
        kinds = QoSPolicyKind.HISTORY, QoSPolicyKind.RELIABILITY
        images = self._subscribe(kind, self.image_topic, self._on_image, camera, kinds)
        self.watch = ImageWatch(self._node, images, self._topics.input("image"))
        deep = QoSProfile(depth=PROMPTS_DEPTH)
        private, outside = self._topics.private, self._topics.input
        self._subscribe(msg.PromptArray, private("prompts"), self._inbox.put_array, deep)
        self._subscribe(PointStamped, private("click"), self._on_click, deep)
        for mouse in (outside("image_mouse_left"), private("overlay_mouse_left")):
            self._subscribe(Point, mouse, self._on_mouse, deep)
        if (vision := vision_messages()) is None:
            self._log.info("vision_msgs is not installed: detections are not subscribed to", once=True)
        else:
            on_detections = self._inbox.put_detections
            self._subscribe(vision.Detection2DArray, outside("detections"), on_detections, QoSProfile(depth=10))

    def close(self) -> None:
        """Unsubscribe."""
        self.watch = None
        super().close()

    @property
    def _is_compressed(self) -> bool:
        return self._value("image_transport") == "compressed"

    def _on_image(self, message: Image | CompressedImage) -> None:
        stamp = nanoseconds(message.header.stamp)
        if (watch := self.watch) is not None:
            watch.image_arrived(stamp)
        if (stream := self._configured.stream) is None:
            return
        # Images of a driver that does not stamp them get their time of arrival.
        stamp = stamp if stamp > 0 else self._arrival_clock.now()
        if self._limit.admits(stamp, self._value("max_rate")):
            stream.put_image(ArrivedImage(message, stamp))
        else:
            self._configured.meter.count("left out")

    def _on_click(self, message: PointStamped) -> None:
        self._inbox.put_click(message.header, message.point, CLICKS)

    def _on_mouse(self, message: Point) -> None:
        self._inbox.put_click(Header(), message, MOUSE)

    def _value(self, parameter: str):
        return self._node.get_parameter(parameter).value
