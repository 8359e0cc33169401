"""Hostile compressed images."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from fuzz import scene
from fuzz.attack import Attack, text
from fuzz.rig import Rig

FORMATS = ("", "jpeg", "png", "rgb8; jpeg compressed bgr8", "bayer_rggb8; jpeg compressed", "16UC1; png compressed ")


def encoded(suffix: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


class CompressedImages(Attack):
    """Compressed images that cannot be read."""

    name = "images, compressed"
    share = 3.0

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._images = rig.publisher(CompressedImage, "image/compressed")
        picture = scene.picture(0)
        self._files = {suffix: encoded(suffix, picture) for suffix in (".jpg", ".png")}

    @property
    def is_possible(self) -> bool:
        return self.rig.transport == "compressed"

    def send(self, random: np.random.Generator) -> str:
        image = CompressedImage(header=scene.header(self.rig.index + int(random.integers(1, 9))))
        image.header.frame_id = text(random)
        image.format = FORMATS[random.integers(len(FORMATS))] if random.random() < 0.7 else text(random)
        wrong = random.integers(6)
        if wrong == 0:
            data = random.bytes(int(random.integers(3000)))
        elif wrong == 1:  # cut off in its head, so that no decoder makes a picture of it
            file = self._files[".jpg"]
            data = file[: int(random.integers(file.index(b"\xff\xc0")))]
        elif wrong == 2:
            sides = [2**31 - 1, 2**32 - 1, 100_000, 30_000]
            data = bomb(*(sides[random.integers(len(sides))] for _ in range(2)))
        elif wrong == 3:
            data = b""
        elif wrong == 4:
            image.format, data = "16UC1; compressedDepth", random.bytes(12) + self._files[".png"]
        else:
            heads = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\xff\xff\xff\xffWEBP", b"II*\x00", b"BM"]
            data = heads[random.integers(len(heads))] + random.bytes(int(random.integers(200)))
        image.data = data
        self._images.publish(image)
        return f"compressed image {image.format[:30]!r} of {len(data)} bytes"


def strange(random: np.random.Generator, header: Header) -> CompressedImage:
    """A file that some decoders read: other formats and sizes, damaged or cut off."""
    sides = [1, 2, 7, 64, 97, 240, 1000]
    height, width = (sides[random.integers(len(sides))] for _ in range(2))
    channels = [(), (3,), (4,)][random.integers(3)]
    wide = random.random() < 0.3
    pixels = random.integers(0, 2**16 if wide else 2**8, (height, width, *channels), np.uint16 if wide else np.uint8)
    suffixes = [".png", ".tiff"] if wide or (len(pixels.shape) == 3 and channels == (4,)) else [".jpg", ".png", ".webp"]
    data = bytearray(encoded(suffixes[random.integers(len(suffixes))], pixels))
    if random.random() < 0.5:
        for place in random.integers(0, len(data), int(random.integers(1, 20))):
            data[place] ^= int(random.integers(1, 256))
    if random.random() < 0.3:
        del data[int(random.integers(len(data))) :]
    return CompressedImage(header=header, format=FORMATS[random.integers(len(FORMATS))], data=bytes(data))
