"""The image of a service's request: one in the request, or one that the node has processed."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.data.image_message import ImageDecoder
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.ros.stream import Stream
from sam2_ros.tracking.encoded_image import EncodedImage


def is_in_request(message: Image) -> bool:
    """Whether a request has an image of its own; otherwise its header names one of the history."""
    return bool(len(message.data) or message.height or message.width)


def requested_image(node: Node, stream: Stream, message: Image) -> tuple[Header, EncodedImage]:
    """The header of a requested image, and the image, encoded in the thread of the stream.

    Raises:
        ImageError: it cannot be read.
        PromptError: the history has no such image.
        ClosedError: the stream has ended.
    """
    if not is_in_request(message):
        return stream.encoded(nanoseconds(message.header.stamp)).result()
    value = node.get_parameter
    pixels = ImageDecoder(value("range_16bit").value, value("max_image_pixels").value).to_rgb(message)
    return message.header, stream.call(lambda tracker: tracker.encode(pixels)).result()
