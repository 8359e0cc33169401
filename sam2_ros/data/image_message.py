"""Pixels of sensor_msgs Image and CompressedImage messages, live or recorded. Needs no ROS."""

from __future__ import annotations

import re
import reprlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from sam2_ros.data.compressed_image import MAX_PIXELS, ImageError, check_size, decode_image
from sam2_ros.data.value_range import FULL, ValueRange, next_range, parse_range, to_8_bits

__all__ = [
    "ENCODINGS",
    "MAX_PIXELS",
    "ImageDecoder",
    "ImageError",
    "PixelReader",
    "layout_of",
    "mask_of",
    "pixels_of",
    "to_rgb",
]

# Encoding -> type of a channel, channels, OpenCV's conversion to RGB. ROS names a Bayer pattern by its first
# four pixels, OpenCV by those of the second row. 8UC3 and the like have no colour order; drivers use OpenCV's.
ENCODINGS: dict[str, tuple[str, int, int | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, cv2.COLOR_BGR2RGB),
    "rgba8": ("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "mono8": ("u1", 1, None),
    "8UC1": ("u1", 1, None),
    "8UC3": ("u1", 3, cv2.COLOR_BGR2RGB),
    "8UC4": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "rgb16": ("u2", 3, None),
    "bgr16": ("u2", 3, cv2.COLOR_BGR2RGB),
    "rgba16": ("u2", 4, cv2.COLOR_RGBA2RGB),
    "bgra16": ("u2", 4, cv2.COLOR_BGRA2RGB),
    "mono16": ("u2", 1, None),
    "16UC3": ("u2", 3, cv2.COLOR_BGR2RGB),
    "16UC4": ("u2", 4, cv2.COLOR_BGRA2RGB),
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
    "nv24": ("u1", 1, None),
}
# Rows of bytes for each row of pixels, for planar formats with chroma below luma.
_ROWS = {"nv12": 1.5, "nv21": 1.5, "nv24": 3}
# Video range: luma within 16 .. 235, chroma within 16 .. 240.
_FULL_LUMA = np.clip((np.arange(256) - 16) * (255 / 219), 0, 255).round().astype(np.uint8)
_FULL_CHROMA = np.clip((np.arange(256) - 128) * (255 / 224) + 128, 0, 255).round().astype(np.uint8)
_DEPTH = ("16UC1", "32FC1")
_MATRIX = re.compile(r"(8|16|32|64)[USF]C\d*")  # OpenCV's names

PixelReader = Callable[[Any, int], np.ndarray]
"""Reads a message as `pixels_of` does."""

_short = reprlib.Repr()
_short.maxstring = 60


class ImageDecoder:
    """Decoder of the image messages of one stream. Thread-safe.

    16-bit images are converted to 8 bits by a range of values that depends on earlier images: see `value_range`. A new
    size begins a new stream, and so does a stamp more than a second back: a looped bag gives the same pixels again.

    Args:
        range_16bit: `auto`, `full`, or MIN..MAX, the values of 16-bit images that become black and white.
        max_pixels: larger images are refused.
        read: reads the pixels of a message; None: `pixels_of`.

    Raises:
        ValueError: `range_16bit` is invalid.
    """

    def __init__(
        self, range_16bit: str = "auto", max_pixels: int = MAX_PIXELS, read: PixelReader | None = None
    ) -> None:
        self._fixed = parse_range(range_16bit)
        self._max_pixels = max_pixels
        self._read = read or pixels_of
        self._lock = threading.Lock()
        self._range: ValueRange | None = None
        self._shape: tuple[int, ...] = ()
        self._stamp = 0.0  # s

    def to_rgb(self, message: Any) -> np.ndarray:
        """The pixels of an image, uint8 [H, W, 3] RGB. May share memory with the message. Raises ImageError."""
        pixels = self._read(message, self._max_pixels)
        if pixels.dtype != np.uint16:
            return as_rgb(pixels, FULL)
        return as_rgb(pixels, self._fixed or self._next_range(message, pixels))

    def _next_range(self, message: Any, pixels: np.ndarray) -> ValueRange:
        stamp = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        with self._lock:
            continues = pixels.shape == self._shape and stamp >= self._stamp - 1.0
            self._range = next_range(self._range if continues else None, pixels)
            self._shape, self._stamp = pixels.shape, stamp
            return self._range


def to_rgb(message: Any) -> np.ndarray:
    """The pixels of a single image, as of the first one of a stream. See `ImageDecoder.to_rgb`."""
    return ImageDecoder().to_rgb(message)


def as_rgb(pixels: np.ndarray, values: ValueRange) -> np.ndarray:
    """Convert the result of `pixels_of` to uint8 [H, W, 3] RGB.

    Args:
        pixels: uint8 or uint16, [H, W, 3] RGB or [H, W] grey.
        values: 16-bit values that become black and white.
    """
    if pixels.dtype == np.uint16:
        pixels = to_8_bits(pixels, values)
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels


def pixels_of(message: Any, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The pixels of an image in their original precision: uint8 or uint16, [H, W, 3] RGB or [H, W] grey.

    May share memory with the message.

    Args:
        message: a sensor_msgs Image or CompressedImage of rclpy or rosbags, or any object with those fields.
        max_pixels: larger images are refused before decoding.

    Raises:
        ImageError: the encoding or format is unknown, data is missing, or the image is too large or damaged.
    """
    return _compressed(message, max_pixels) if hasattr(message, "format") else _raw(message, max_pixels)


def mask_of(message: Any) -> np.ndarray:
    """The pixels of a mask, uint8 [H, W].

    Raises:
        ImageError: the encoding is not mono8, or data is missing.
    """
    if message.encoding not in ("mono8", "8UC1"):
        raise ImageError(f"the encoding of a mask must be mono8, not {_short.repr(message.encoding)}")
    return _channels(message)


@dataclass(frozen=True)
class Layout:
    """Where the pixels of a raw image lie in its data."""

    rows: int
    """Rows of bytes, which for planar formats are more than rows of pixels."""
    channels: int
    number: np.dtype
    """Type of a channel."""
    step: int
    """Bytes from one row to the next."""


def layout_of(message: Any, max_pixels: int = MAX_PIXELS) -> Layout:
    """The layout of a raw image whose data is complete.

    Raises:
        ImageError: as `pixels_of`.
    """
    _check_encoding(message.encoding)
    check_size(message.width, message.height, max_pixels)
    return _layout(message)


def _raw(message: Any, max_pixels: int) -> np.ndarray:
    layout_of(message, max_pixels)
    rows = _channels(message)
    return _from_nv24(rows) if message.encoding == "nv24" else _converted(rows, message.encoding)


def _from_nv24(rows: np.ndarray) -> np.ndarray:
    """RGB of H rows of luma and 2 H of interleaved chroma, uint8 [3 H, W]. OpenCV can't convert it."""
    luma, chroma = np.split(rows, [len(rows) // 3])
    chroma = chroma.reshape(*luma.shape, 2)
    full = np.dstack([_FULL_LUMA[luma], _FULL_CHROMA[chroma[..., ::-1]]])
    return cv2.cvtColor(full, cv2.COLOR_YCrCb2RGB)


def _compressed(message: Any, max_pixels: int) -> np.ndarray:
    # image_transport writes "<encoding of the raw image>; <codec> compressed <encoding of the file>", other programs
    # "jpeg" or nothing. The channel order is defined by the file format, not by this field.
    encoding = message.format.partition(";")[0].strip()
    if "compressedDepth" in message.format or (_MATRIX.fullmatch(encoding) and encoding not in ENCODINGS):
        _check_encoding(encoding if _MATRIX.fullmatch(encoding) else _DEPTH[0])
    data = bytes(message.data)
    try:
        pixels = decode_image(data, max_pixels)
    except ImageError as error:
        image = f"{len(data)} bytes of compressed image ({_short.repr(message.format)})"
        raise ImageError(f"{image} cannot be decoded: {error}") from error
    is_mosaic = pixels.ndim == 2 and encoding.startswith("bayer_") and encoding in ENCODINGS
    return _converted(pixels, encoding) if is_mosaic else pixels


def _check_encoding(encoding: str) -> None:
    if encoding not in ENCODINGS:
        depth = " It looks like depth; connect the colour image." if encoding in _DEPTH else ""
        raise ImageError(f"the encoding {_short.repr(encoding)} is not known; known: {', '.join(ENCODINGS)}.{depth}")


def _converted(pixels: np.ndarray, encoding: str) -> np.ndarray:
    conversion = ENCODINGS[encoding][2]
    try:
        return pixels if conversion is None else cv2.cvtColor(pixels, conversion)
    except cv2.error as error:  # odd sizes of formats with subsampled chroma
        height, width = pixels.shape[:2]
        raise ImageError(f"{width} x {height} pixels of {encoding} cannot be converted ({error.err})") from error


def _layout(message: Any) -> Layout:
    kind, channels, _ = ENCODINGS[message.encoding]
    height, width = message.height, message.width
    if not height or not width:
        raise ImageError(f"the image has no size ({width} x {height} pixels)")
    rows = int(height * _ROWS.get(message.encoding, 1))
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
    if message.encoding == "nv24" and step != row:
        raise ImageError(f"step is {step} bytes; nv24 is read without padding, {row} bytes here")
    return Layout(rows, channels, number, step)


def _channels(message: Any) -> np.ndarray:
    """The channels of a known encoding without padding of rows: [H, W] or [H, W, C], in native byte order."""
    layout = _layout(message)
    channels, number = layout.channels, layout.number
    shape = layout.rows, message.width, channels
    strides = layout.step, channels * number.itemsize, number.itemsize
    pixels = np.ndarray(shape, number, message.data, strides=strides)
    return np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels, number.newbyteorder("="))
