"""Masklets as messages."""

from __future__ import annotations

import array

from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.tracking import rle
from sam2_ros.tracking.masklet import Frame, Masklet


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
        counts = rle.encode(masklet.mask, masklet.rows)
        message.mask.counts = array.array("I", counts.tobytes())  # copied by rclpy without a loop
    return message


def to_array(frame: Frame, header: Header) -> msg.MaskletArray:
    """All objects on one frame; `header` is the image's."""
    masklets = [to_message(masklet) for masklet in frame.masklets]
    return msg.MaskletArray(header=header, height=frame.height, width=frame.width, masklets=masklets)
