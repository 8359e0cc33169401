"""Pixels out of image messages, and into them."""

from __future__ import annotations

import array
import contextlib

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

# Encoding -> type of a number, numbers per pixel, OpenCV's conversion to RGB. ROS names a Bayer pattern by its first
# four pixels, OpenCV by those of the second row. 8UCn has no colour order; drivers that use it mean OpenCV's.
_ENCODINGS: dict[str, tuple[str, int, int | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, cv2.COLOR_BGR2RGB),
    "rgba8": ("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "mono8": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "8UC1": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "8UC3": ("u1", 3, cv2.COLOR_BGR2RGB),
    "8UC4": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "rgb16": ("u2", 3, None),
    "bgr16": ("u2", 3, cv2.COLOR_BGR2RGB),
    "rgba16": ("u2", 4, cv2.COLOR_RGBA2RGB),
    "bgra16": ("u2", 4, cv2.COLOR_BGRA2RGB),
    "mono16": ("u2", 1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": ("u1", 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": ("u1", 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": ("u1", 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": ("u1", 1, cv2.COLOR_BayerGB2RGB),
    "bayer_rggb16": ("u2", 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr16": ("u2", 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg16": ("u2", 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg16": ("u2", 1, cv2.COLOR_BayerGB2RGB),
    "uyvy": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": ("u1", 2, cv2.COLOR_YUV2RGB_YUYV),
    "yuv422_yuy2": ("u1", 2, cv2.COLOR_YUV2RGB_YUYV),
    "nv12": ("u1", 1, cv2.COLOR_YUV2RGB_NV12),
    "nv21": ("u1", 1, cv2.COLOR_YUV2RGB_NV21),
}
_HALF_SIZE_COLOUR = ("nv12", "nv21")  # below the rows of brightness stand half as many rows of colour

JPEG_QUALITY = 90


class ImageError(ValueError):
    """An image message that cannot be read; the message says what is wrong with it."""


def to_rgb(message: Image | CompressedImage) -> np.ndarray:
    """The pixels of an image, uint8 [H, W, 3] RGB. May share memory with the message.

    Raises:
        ImageError: no known encoding, less data than the size asks for, or compressed data that cannot be decoded.
    """
    if isinstance(message, CompressedImage):
        return _decompress(message)
    if message.encoding not in _ENCODINGS:
        depth = " It looks like depth; connect the colour image." if message.encoding in ("16UC1", "32FC1") else ""
        raise ImageError(f"the encoding {message.encoding!r} is not known; known: {', '.join(_ENCODINGS)}.{depth}")
    conversion = _ENCODINGS[message.encoding][2]
    pixels = _numbers(message)
    try:
        pixels = pixels if conversion is None else cv2.cvtColor(pixels, conversion)
    except cv2.error as error:  # odd sizes of formats that store colour for two pixels together
        size = f"{message.width} x {message.height}"
        raise ImageError(f"{size} pixels of {message.encoding} cannot be converted ({error.err})") from error
    return pixels if pixels.dtype == np.uint8 else cv2.convertScaleAbs(pixels, alpha=1 / 257)


def mask_of(message: Image) -> np.ndarray:
    """The pixels of a mask, uint8 [H, W].

    Raises:
        ImageError: not mono8, or less data than the size asks for.
    """
    if message.encoding not in ("mono8", "8UC1"):
        raise ImageError(f"the encoding of a mask must be mono8, not {message.encoding!r}")
    return _numbers(message)


def to_message(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """An Image message; `encoding` says what is in `pixels`, [H, W] or [H, W, C]."""
    height, width = pixels.shape[:2]
    data = array.array("B", np.ascontiguousarray(pixels).tobytes())  # the one type that rclpy takes without a loop
    return Image(header=header, height=height, width=width, encoding=encoding, step=len(data) // height, data=data)


def to_jpeg(bgr: np.ndarray, header: Header) -> CompressedImage:
    """A CompressedImage message from uint8 [H, W, 3] BGR."""
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return CompressedImage(header=header, format="bgr8; jpeg compressed bgr8", data=array.array("B", data.tobytes()))


def _numbers(message: Image) -> np.ndarray:
    """The numbers of a known encoding without the padding at the ends of rows: [H, W] or [H, W, C], native order."""
    kind, channels, _ = _ENCODINGS[message.encoding]
    height, width = message.height, message.width
    if not height or not width:
        raise ImageError(f"the image has no size ({width} x {height} pixels)")
    rows = height * 3 // 2 if message.encoding in _HALF_SIZE_COLOUR else height
    number = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    row = width * channels * number.itemsize
    step = message.step or row
    if step < row:
        raise ImageError(f"step is {step} bytes, but a row of {width} pixels in {message.encoding} takes {row}")
    needed = step * (rows - 1) + row
    if len(message.data) < needed:
        raise ImageError(
            f"the data is cut off: {len(message.data)} bytes instead of {needed}"
            f" for {width} x {height} pixels in {message.encoding}"
        )
    shape, strides = (rows, width, channels), (step, channels * number.itemsize, number.itemsize)
    pixels = np.ndarray(shape, number, message.data, strides=strides)
    return np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels, number.newbyteorder("="))


def _decompress(message: CompressedImage) -> np.ndarray:
    data = np.frombuffer(message.data, np.uint8)
    pixels = None
    with contextlib.suppress(cv2.error):  # OpenCV raises or returns None, depending on what is wrong
        # A camera's JPEG is the image as it is: turning it by its EXIF data would move every click.
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise ImageError(f"{data.size} bytes of compressed image ({message.format!r}) cannot be decoded")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
