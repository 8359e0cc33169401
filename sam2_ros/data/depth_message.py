"""Depth of sensor_msgs Image and CompressedImage messages, live or recorded. Needs no ROS.

Of REP 118: 16UC1 in millimetres, 0 where nothing is measured, and 32FC1 in metres, NaN or infinite there.
"""

from __future__ import annotations

import re
import reprlib
import struct
from typing import Any

import numpy as np

from sam2_ros.data.compressed_image import MAX_PIXELS, ImageError, check_size, decode_image

ENCODINGS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}

_HEADER = struct.Struct("<iff")  # of compressed_depth_image_transport: format, and the two numbers of the quantisation
_FORMAT = re.compile(r"(?P<encoding>\w+)\s*;\s*compressedDepth(?:\s+(?P<codec>\w+))?")

_short = reprlib.Repr()
_short.maxstring = 60


def depth_of(message: Any, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The depth of a message, [H, W]: uint16 millimetres, or float32 metres. May share memory with the message.

    Args:
        message: a sensor_msgs Image, or a CompressedImage of compressed_depth_image_transport, of rclpy or rosbags.
        max_pixels: larger images are refused before decoding.

    Raises:
        ImageError: the encoding or format is no depth, data is missing, or the image is too large or damaged.
    """
    return _compressed(message, max_pixels) if hasattr(message, "format") else _raw(message, max_pixels)


def _raw(message: Any, max_pixels: int) -> np.ndarray:
    if message.encoding not in ENCODINGS:
        raise ImageError(
            f"the encoding {_short.repr(message.encoding)} is not depth; known: {', '.join(ENCODINGS)}. Connect the"
            " depth image, not one that is coloured for viewing"
        )
    height, width = message.height, message.width
    if not height or not width:
        raise ImageError(f"the depth image has no size ({width} x {height} pixels)")
    check_size(width, height, max_pixels)
    number = np.dtype(ENCODINGS[message.encoding]).newbyteorder(">" if message.is_bigendian else "<")
    row = width * number.itemsize
    step = message.step or row
    if step < row:
        raise ImageError(f"step is {step} bytes, but a row of {width} pixels in {message.encoding} takes {row}")
    if len(message.data) < (needed := step * (height - 1) + row):
        raise ImageError(f"the depth image is cut off: {len(message.data)} bytes instead of {needed}")
    depth = np.ndarray((height, width), number, message.data, strides=(step, number.itemsize))
    return np.ascontiguousarray(depth, number.newbyteorder("="))


def _compressed(message: Any, max_pixels: int) -> np.ndarray:
    parts = _FORMAT.match(message.format)
    if parts is None or parts["encoding"] not in ENCODINGS:
        raise ImageError(
            f"the format {_short.repr(message.format)} is not that of compressed depth, such as '16UC1; compressedDepth"
            " png'; connect <depth topic>/compressedDepth"
        )
    if parts["codec"] not in (None, "png"):
        raise ImageError(
            f"depth compressed with {_short.repr(parts['codec'])} cannot be read; set the publisher's parameter"
            " <depth topic>.compressedDepth.format to png"
        )
    data = bytes(message.data)
    if len(data) <= _HEADER.size:
        raise ImageError(f"the compressed depth is cut off: {len(data)} bytes")
    try:
        pixels = decode_image(data[_HEADER.size :], max_pixels)
    except ImageError as error:
        raise ImageError(f"{len(data)} bytes of compressed depth cannot be decoded: {error}") from error
    if pixels.ndim != 2 or pixels.dtype != np.uint16:
        raise ImageError("the compressed depth does not hold 16-bit grey values")
    if parts["encoding"] != "32FC1":
        return pixels
    _, a, b = _HEADER.unpack_from(data)
    with np.errstate(all="ignore"):
        metres = np.float32(a) / (pixels.astype(np.float32) - np.float32(b))
    return np.where(pixels > 0, metres, np.float32(np.nan))
