"""Safe decoding of compressed images: JPEG, PNG and TIFF, as cameras and image_transport send them."""

from __future__ import annotations

import contextlib
import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np

MAX_PIXELS = 2**26
"""Default limit: 8192 x 8192, above the 65 megapixels of the largest industrial cameras."""

_MAX_SEGMENTS = 1000
"""Maximum number of segments of a JPEG before the one with its size. Cameras write about ten."""
_MAX_SCANS = 32
"""Maximum number of scans of a JPEG. A progressive one has 10, and each takes as long as an image."""
_MAX_UNCHECKED_BYTES = 2**20
"""Maximum bytes of a PNG that is decoded unchecked: decompressed, at most a thousand times as much, a large image."""
_MAX_CHUNKS = 100_000
"""Maximum number of chunks of a PNG. 64 megapixels of incompressible 16-bit colour take 49,000 of the usual 8 KiB."""

_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}  # JPEG markers without a length
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
_TIFF_STARTS = {b"II*\0": "<", b"MM\0*": ">"}
_TIFF_FIELDS = {1: "B", 3: "H", 4: "I"}
_TIFF_COMPRESSIONS = (1, 5, 8, 32773, 32946)  # none, LZW, Deflate, PackBits, Deflate

# Other formats that occur in CompressedImage messages, by their first bytes.
_OTHERS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"v/1\x01": "OpenEXR",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"RIFF": "WebP",
    b"#?RADIANCE": "Radiance HDR",
    b"\x59\xa6\x6a\x95": "Sun raster",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"\0\0\0\x01": "a video stream (H.264 or H.265)",
    b"\0\0\x01": "a video stream (H.264 or H.265)",
    **{b"P%d%c" % (kind, space): "PNM" for kind in range(1, 8) for space in b" \t\r\n"},
    **{b"P%c%c" % (kind, space): "PFM" for kind in b"fF" for space in b" \t\r\n"},
}


class ImageError(ValueError):
    """An image cannot be read; the message says why."""


@dataclass(frozen=True)
class ImageHeader:
    """Header of a compressed image."""

    kind: str
    """JPEG, PNG or TIFF."""
    width: int
    height: int
    bits: int
    """Bits per channel, 1 .. 16."""
    colour: bool


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a JPEG, PNG or TIFF, without EXIF rotation and without alpha.

    Args:
        data: the whole file.
        max_pixels: images with more, by their header, are refused before decoding.

    Returns:
        uint8, or uint16 for more than 8 bits: [H, W, 3] RGB, or [H, W] grey.

    Raises:
        ImageError: the image is of another format, too large, cut off or damaged.
    """
    data, header = _opened(data, max_pixels)
    # Clicks refer to the camera's pixels, so EXIF rotation is ignored.
    flags = (cv2.IMREAD_COLOR if header.colour else cv2.IMREAD_GRAYSCALE) | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = None
    with contextlib.suppress(cv2.error):  # OpenCV raises or returns None, depending on the damage
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | (cv2.IMREAD_ANYDEPTH if header.bits == 16 else 0))
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise ImageError(f"the {header.kind} is damaged")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if header.colour else pixels


def header_of(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """The checked header of a JPEG, PNG or TIFF, which is not decoded. Raises ImageError as `decode_image`."""
    return _opened(data, max_pixels)[1]


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ImageError if an image has no pixels or too many."""
    if not width or not height:
        raise ImageError(f"the image has no size ({width} x {height} pixels)")
    if width * height > max_pixels:
        raise ImageError(f"{width} x {height} pixels are too many; {max_pixels} are allowed (max_image_pixels)")


def _opened(data: bytes, max_pixels: int) -> tuple[bytes, ImageHeader]:
    """The data to decode, and its checked header."""
    try:
        if data.startswith(_PNG):
            return _png(data, max_pixels)
        header = None
        if data.startswith(b"\xff\xd8\xff"):
            header = _jpeg_header(data)
        elif data[:4] in _TIFF_STARTS:
            header = _tiff_header(data, _TIFF_STARTS[data[:4]])
    except (IndexError, struct.error):
        raise ImageError("it is cut off") from None
    if header is not None:
        _check(header, max_pixels)
        return data, header
    other = next((name for start, name in _OTHERS.items() if data.startswith(start)), None)
    if data[4:8] == b"ftyp":
        other = "AVIF, HEIF or a video"
    problem = f"it is {other}" if other else "it is in no known format" if data else "it is empty"
    raise ImageError(f"{problem}; only JPEG, PNG and TIFF are decoded, as cameras and image_transport send them")


def _check(header: ImageHeader, max_pixels: int) -> None:
    check_size(header.width, header.height, max_pixels)
    if header.bits not in (1, 2, 4, 8, 16):
        raise ImageError(f"{header.kind} with {header.bits} bits per channel cannot be decoded, only 8 or 16")


def _jpeg_header(data: bytes) -> ImageHeader:
    """Header of a JPEG. Finds markers in the same way as libjpeg, so both read the same size."""
    position, header, progressive = 2, None, False
    for _ in range(_MAX_SEGMENTS):
        if (position := data.find(b"\xff", position)) < 0:
            raise ImageError("the JPEG is cut off")
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        position += 1
        if marker == 0 or marker in _WITHOUT_LENGTH:
            continue
        if marker in (0xD8, 0xD9):  # a second start, the end
            break
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _START_OF_FRAME:
            if header is not None:
                raise ImageError("the JPEG is damaged: it says its size twice")
            bits, height, width, channels = struct.unpack_from(">BHHB", data, position + 2)
            header, progressive = ImageHeader("JPEG", width, height, bits, channels != 1), bool(marker & 2)
        elif marker == 0xDA and header is not None:
            if progressive or data[position + 2] < channels:
                _check_scans(data)
            end = data.rfind(b"\xff\xd9", position)
            if end < 0 or data.find(b"\xff\xda", end) >= 0:  # of it, OpenCV would return the upper part
                raise ImageError("the JPEG is cut off: its end is missing")
            return header
        position += length
    raise ImageError("the JPEG is damaged: its size is missing")


def _check_scans(data: bytes) -> None:
    if (scans := data.count(b"\xff\xda")) > _MAX_SCANS:
        raise ImageError(f"the JPEG has {scans} scans; at most {_MAX_SCANS} are allowed")


def _png(data: bytes, max_pixels: int) -> tuple[bytes, ImageHeader]:
    """A PNG without possible bombs (texts, colour profiles, animation, surplus pixels), and its header."""
    width, height, bits, kind_of_pixels, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, len(_PNG) + 8)
    header = ImageHeader("PNG", width, height, bits, bool(kind_of_pixels & 2))  # 0 and 4 are grey
    _check(header, max_pixels)
    position, chunks, size = len(_PNG), [_PNG], 0
    for index in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, position)
        begin, position = position, position + 12 + length
        if position > len(data):
            raise ImageError("the PNG is cut off")
        if (kind == b"IHDR") != (index == 0):
            raise ImageError("the PNG is damaged: one IHDR belongs at its start")
        if kind in (b"IHDR", b"PLTE", b"IDAT"):
            chunks.append(data[begin:position])
            size += length
        elif kind == b"IEND":
            if size > _MAX_UNCHECKED_BYTES:
                row = width * bits * _PNG_CHANNELS.get(kind_of_pixels, 1) // 8 + 2
                max_bytes = (
                    height * row * (2 if interlaced else 1) + 64
                )  # interlaced, there are more rows, but shorter ones
                chunks = _bounded(chunks, max_bytes)
            return b"".join([*chunks, _PNG_END]), header
    raise ImageError(f"the PNG has more than {_MAX_CHUNKS} chunks")


def _bounded(chunks: list[bytes], needed: int) -> list[bytes]:
    """Chunks of a PNG whose pixels are cut at the needed number of bytes, and stored uncompressed.

    libpng decompresses beyond the last row, up to a thousand times as much as was sent.
    """
    pixels = b"".join(chunk[8:-4] for chunk in chunks if chunk[4:8] == b"IDAT")
    try:
        pixels = zlib.decompressobj().decompress(pixels, needed)
    except zlib.error:
        raise ImageError("the PNG is damaged") from None
    pixels = zlib.compress(pixels, 0)
    checksum = struct.pack(">I", zlib.crc32(pixels, zlib.crc32(b"IDAT")))
    others = (chunk for chunk in chunks if chunk[4:8] != b"IDAT")
    return [*others, struct.pack(">I", len(pixels)), b"IDAT", pixels, checksum]


def _tiff_header(data: bytes, order: str) -> ImageHeader:
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    fields: dict[int, int] = {}
    for index in range(count):
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, entry := start + 2 + 12 * index)
        if kind not in _TIFF_FIELDS:
            continue
        size, place = struct.calcsize(_TIFF_FIELDS[kind]), entry + 8
        if number * size > 4:
            (place,) = struct.unpack_from(f"{order}I", data, place)
        if tag in fields:
            raise ImageError("the TIFF is damaged: it has a tag twice")
        (fields[tag],) = struct.unpack_from(order + _TIFF_FIELDS[kind], data, place)  # the first of several values
    if 322 in fields or 324 in fields:
        raise ImageError("the TIFF is tiled, which is not supported; image_transport writes strips")
    if fields.get(259, 1) not in _TIFF_COMPRESSIONS:
        raise ImageError(f"the TIFF's compression ({fields[259]}) is not one of image_transport's")
    if fields.get(339, 1) != 1:
        raise ImageError("the TIFF holds signed or floating-point values; connect a colour or grey image")
    colour = fields.get(262, 1) > 1  # 0 and 1 are grey
    return ImageHeader("TIFF", fields.get(256, 0), fields.get(257, 0), fields.get(258, 1), colour)
