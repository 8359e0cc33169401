"""Image messages from pixels. The reverse is `sam2_ros.data.image_message`."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

JPEG_QUALITY = 90


def to_message(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """An Image message from `pixels`, [H, W] or [H, W, C], in a ROS encoding such as rgb8."""
    height, width = pixels.shape[:2]
    data = array.array("B", np.ascontiguousarray(pixels).tobytes())  # the only type that rclpy copies without a loop
    return Image(header=header, height=height, width=width, encoding=encoding, step=len(data) // height, data=data)


def to_jpeg(bgr: np.ndarray, header: Header) -> CompressedImage:
    """A CompressedImage message from uint8 [H, W, 3] BGR."""
    import cv2  # here, so that senders of masks do not load it

    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return CompressedImage(header=header, format="bgr8; jpeg compressed bgr8", data=array.array("B", data.tobytes()))
