"""`~/masks/object_ID`: each object's mask as an image of its own, for tools that know nothing else."""

from __future__ import annotations

import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.ros.images import to_message
from sam2_ros.ros.log import Log
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.masklet import Frame

MAX_TOPICS = 64
"""Maximum number of topics. Each is announced to the whole network, so that very many would disturb it."""


class MasksOutput:
    """A mono8 image, 255 on the object, of each tracked object for every image while somebody subscribes.

    A topic for each object, since tools for images expect one stream of images on a topic. It exists while the object
    is tracked and `publish_masks` is set; while the object cannot be seen, its images are black.
    """

    def __init__(self, node: LifecycleNode, topics: Topics, log: Log) -> None:
        self._node = node
        self._topics = topics
        self._log = log
        self._publishers: dict[int, Publisher] = {}  # by object ID

    def publish(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        wanted = frame.masklets if self._node.get_parameter("publish_masks").value else ()
        if len(wanted) > MAX_TOPICS:
            self._log.warning(
                f"{len(wanted)} objects are tracked, and ~/masks has topics for the first {MAX_TOPICS} only;"
                " ~/masklets and ~/labels have all",
                once=True,
            )
            wanted = wanted[:MAX_TOPICS]
        self._keep({masklet.object_id for masklet in wanted})
        for masklet in wanted:
            if (publisher := self._publishers.get(masklet.object_id)) is None:
                publisher = self._publishers[masklet.object_id] = self._publisher(masklet.object_id)
            if publisher.get_subscription_count():
                publisher.publish(to_message(masklet.mask.view(np.uint8) * np.uint8(255), "mono8", header))

    def release(self) -> None:
        """Remove all topics; the stream has ended."""
        self._keep(set())

    def _keep(self, object_ids: set[int]) -> None:
        for object_id in self._publishers.keys() - object_ids:
            self._node.destroy_publisher(self._publishers.pop(object_id))

    def _publisher(self, object_id: int) -> Publisher:
        # Without what rclpy would keep of it for ever: QoS parameters, and handlers of events in a callback group.
        no_events = PublisherEventCallbacks(use_default_callbacks=False)
        topic = self._topics.private(f"masks/object_{object_id}")
        return self._node.create_publisher(Image, topic, QoSProfile(depth=1), event_callbacks=no_events)
