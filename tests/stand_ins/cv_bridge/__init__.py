"""A stand-in for cv_bridge, which is not on PyPI: what its imgmsg_to_cv2 does, and how it fails on robots.

The environment variable STAND_IN_FAULT names one of these ways.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import cv2
import numpy as np

TYPES = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "mono8": (np.uint8, 1),
    "mono16": (np.uint16, 1),
    "bgr16": (np.uint16, 3),
    "8UC3": (np.uint8, 3),
    "bayer_rggb8": (np.uint8, 1),
    "yuv422": (np.uint8, 2),
}
CONVERSIONS = {
    ("bgr8", "rgb8"): cv2.COLOR_BGR2RGB,
    ("bgr16", "rgb16"): cv2.COLOR_BGR2RGB,
    ("bayer_rggb8", "rgb8"): cv2.COLOR_BAYER_BG2RGB,
    ("yuv422", "rgb8"): cv2.COLOR_YUV2RGB_UYVY,
}


def fault() -> str:
    return os.environ.get("STAND_IN_FAULT", "")


if fault() == "import":
    raise ImportError("libopencv_core.so.406: cannot open shared object file")


class CvBridgeError(TypeError):
    """As in cv_bridge."""


class CvBridge:
    def imgmsg_to_cv2(self, message: Any, desired_encoding: str = "passthrough") -> np.ndarray:
        if fault() == "crash":  # another NumPy than it was built for
            print("A module that was compiled using NumPy 1.x cannot be run in NumPy 2.x", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        if fault() == "hang":
            time.sleep(3600)
        if fault() == "error":
            raise CvBridgeError("no reason")
        try:
            dtype, channels = TYPES[message.encoding]
        except KeyError as error:
            raise CvBridgeError(f"Unrecognized image encoding [{message.encoding}]") from error
        dtype = np.dtype(dtype)
        columns = int(message.step / dtype.itemsize / channels)
        shape = (message.height, columns) if channels == 1 else (message.height, columns, channels)
        pixels = np.ndarray(shape, dtype, message.data)[: message.height, : message.width]
        pixels = np.ascontiguousarray(pixels)
        if desired_encoding not in ("passthrough", message.encoding):
            try:
                pixels = cv2.cvtColor(pixels, CONVERSIONS[message.encoding, desired_encoding])
            except KeyError as error:
                raise CvBridgeError(f"[{message.encoding}] is not a color format") from error
        if fault() == "wrong" and message.encoding == "bgr8":
            pixels = pixels[..., ::-1]
        return pixels
