"""Pictures of a camera: images as they arrived, and as pages can show them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from sam2_ros.data.compressed_image import ImageHeader, header_of
from sam2_ros.data.image_message import ImageDecoder, ImageError
from sam2_ros.data.jpeg import encode_jpeg

WIDTHS = (480, 960, 1440, 1920, 2880)
"""Widths to which pictures are scaled: few, so that one is encoded for many pages."""

_EXIF = b"Exif\0\0"


@dataclass(frozen=True, eq=False)
class CameraImage:
    """An image that arrived."""

    stamp: int
    """ns."""
    data: bytes
    """The serialised message."""
    kind: type[Image] | type[CompressedImage]


@dataclass(frozen=True, eq=False)
class Encoded:
    """An image as pages show it."""

    height: int
    """Of the image, pixels; the JPEGs may be smaller."""
    width: int
    jpegs: dict[int, bytes]
    """By their width, pixels."""

    def jpeg(self, width: int) -> bytes:
        """The narrowest of at least this width, or else the widest."""
        wide = [given for given in self.jpegs if given >= width]
        return self.jpegs[min(wide, default=max(self.jpegs))]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.jpegs.values()))


def width_for(wished: int) -> int:
    """The width that is encoded for a page that wishes one: the next of `WIDTHS`; 0: the image's own."""
    return next((width for width in WIDTHS if width >= wished), 0) if wished else 0


def encode(picture: CameraImage, decoder: ImageDecoder, widths: set[int], quality: int) -> Encoded:
    """Encode a picture as JPEGs.

    A JPEG that arrived is passed on as it is, unless it is more than twice as wide as any page wishes, or turned.

    Args:
        decoder: of the camera's images.
        widths: of the JPEGs, pixels; 0, and more than the image has: its own.
        quality: of the JPEGs, 1 .. 100.

    Raises:
        ImageError: the image cannot be read.
    """
    try:
        message = deserialize_message(picture.data, picture.kind)
    except Exception as error:  # rclpy raises various ones for bytes that are no such message
        raise ImageError(f"the message cannot be read: {error}") from error
    if picture.kind is CompressedImage and (header := _showable(message)) is not None:
        widest = max((width or header.width for width in widths), default=header.width)
        if header.width <= 2 * widest:
            return Encoded(header.height, header.width, {header.width: bytes(message.data)})
    rgb = decoder.to_rgb(message)
    height, width = rgb.shape[:2]
    jpegs = {}
    for scaled in {min(wished or width, width) for wished in widths} or {width}:
        size = scaled, max(1, round(height * scaled / width))
        pixels = rgb if scaled == width else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        jpegs[scaled] = encode_jpeg(pixels, quality)
    return Encoded(height, width, jpegs)


def _showable(message: CompressedImage) -> ImageHeader | None:
    """The header of a JPEG that a browser shows as the camera saw it; None: it has to be decoded here."""
    data = bytes(message.data)
    header = header_of(data)
    encoding = message.format.partition(";")[0].strip()
    turned = _EXIF in data[: 2**16]  # browsers would turn it, and clicks refer to the camera's pixels
    mosaic = encoding.startswith("bayer_") and not header.colour
    return header if header.kind == "JPEG" and header.bits == 8 and not (turned or mosaic) else None
