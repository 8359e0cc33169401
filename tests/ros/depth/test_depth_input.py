"""Serialized messages."""

from __future__ import annotations

import struct

import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros.ros.depth.depth_input import stamp_of
from sam2_ros.ros.stamps import time_message


@pytest.mark.parametrize("stamp", [0, 1, 1_700_000_000_123_456_789, -5, 2**31 * 1_000_000_000 - 1])
@pytest.mark.parametrize("kind", [Image, CompressedImage])
def test_stamp_is_read_without_decoding_the_message(kind: type, stamp: int) -> None:
    data = serialize_message(kind(header=Header(stamp=time_message(stamp), frame_id="camera"), data=bytes(100)))
    assert stamp_of(data) == stamp


def test_stamp_of_another_byte_order() -> None:
    assert stamp_of(b"\0\0\0\0" + struct.pack(">iI", 7, 5)) == 7_000_000_005
