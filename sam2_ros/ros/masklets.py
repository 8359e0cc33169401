"""Masklets as messages and as label images."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.tracking import rle
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.object_colours import colour


def to_message(masklet: Masklet, with_mask: bool = True) -> msg.Masklet:
    """One object on one frame, with or without its mask."""
    message = msg.Masklet(
        object_id=masklet.object_id,
        label=masklet.label,
        present=masklet.present,
        presence=float(masklet.presence),  # rclpy aborts the process for any other type
        iou=float(masklet.iou),
    )
    if masklet.present:
        x, y, width, height = (int(number) for number in masklet.box)
        message.box = RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)
    if with_mask:
        message.mask.height, message.mask.width = masklet.mask.shape
        message.mask.counts = array.array("I", rle.encode(masklet.mask).tobytes())  # copied by rclpy without a loop
    return message


def to_array(frame: Frame, header: Header) -> msg.MaskletArray:
    """All objects on one frame; `header` is the image's."""
    masklets = [to_message(masklet) for masklet in frame.masklets]
    return msg.MaskletArray(header=header, height=frame.height, width=frame.width, masklets=masklets)


def label_image(frame: Frame) -> np.ndarray:
    """The object ID in each pixel, uint16 [H, W]; 0: no object.

    Where objects overlap, the smaller one is shown. IDs above 65535 do not fit and are left out.
    """
    labels = np.zeros((frame.height, frame.width), np.uint16)
    for masklet in _smallest_last(frame):
        labels[masklet.mask] = masklet.object_id
    return labels


def coloured_labels(frame: Frame) -> np.ndarray:
    """The label image for people, uint8 [H, W, 3] RGB: the fixed colour of the ID in each pixel; black: no object."""
    picture = np.zeros((frame.height, frame.width, 3), np.uint8)
    for masklet in _smallest_last(frame):
        picture[masklet.mask] = colour(masklet.object_id)
    return picture


def _smallest_last(frame: Frame) -> list[Masklet]:
    """The masklets of a label image, in the order in which they are drawn."""
    shown = [masklet for masklet in frame.masklets if masklet.present and masklet.object_id <= 0xFFFF]
    return sorted(shown, key=lambda masklet: -np.count_nonzero(masklet.mask))
