"""Hostile images: encodings, sizes and stamps that no camera should send."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fuzz import scene
from fuzz.attack import Attack, odd_time, text
from fuzz.rig import Rig
from sam2_ros.data.image_message import ENCODINGS
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import time_message

MAX_STRAYS = 2
"""Maximum number of readable images with odd stamps between two good ones; three in a row could be a jump of time."""
MAX_SIDE = 2000
"""Longest side of a strange image, pixels. What lies beyond is outside of every image."""
UNREADABLE = ("", "rgb9", "RGB8", "rgb8\n", "16UC1", "32FC1", "8UC7", "64FC4", "bayer_rggb12", "jpeg", "é" * 5000)


class RawImages(Attack):
    """Raw images that cannot be read."""

    name = "images, raw"
    share = 3.0

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._images = rig.publisher(Image, "image")

    @property
    def is_possible(self) -> bool:
        return self.rig.transport == "raw"

    def send(self, random: np.random.Generator) -> str:
        image = to_message(scene.picture(0), "rgb8", scene.header(self.rig.index + int(random.integers(1, 9))))
        image.header.frame_id = text(random)
        wrong = random.integers(8)
        if wrong == 0:
            image.encoding = UNREADABLE[random.integers(len(UNREADABLE))]
        elif wrong == 1:
            image.width, image.height = [(0, 0), (0, 120), (160, 0), (2**32 - 1, 2**32 - 1), (2**32 - 1, 1)][
                random.integers(5)
            ]
        elif wrong == 2:
            image.step = int([1, 479, 2**32 - 1, 2**31, 1000][random.integers(5)])
        elif wrong == 3:
            image.data = image.data[: int(random.integers(len(image.data)))]
        elif wrong == 4:  # more data is needed, by a lot or by one byte
            image.encoding = ["rgba8", "rgb16", "bgra16", "16UC4"][random.integers(4)]
            image.step = 0
        elif wrong == 5:
            image.encoding, image.step, image.width, image.height = ["nv12", "yuyv"][random.integers(2)], 0, 33, 77
            image.data = image.data[: int(random.integers(33 * 77))]
        elif wrong == 6:  # larger than max_image_pixels, readable otherwise
            image = to_message(np.zeros((1001, 1000), np.uint8), "mono8", image.header)
        else:
            image.data = random.bytes(int(random.integers(100)))
        self._images.publish(image)
        return (
            f"image {image.width}x{image.height}, {image.encoding[:20]!r}, step {image.step}, {len(image.data)} bytes"
        )


class Stamps(Attack):
    """Readable images with stamps that cannot be: again, late, long ago, none."""

    name = "images, stamps"

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._images = rig.victim.images

    @property
    def is_possible(self) -> bool:
        return self.rig.strays < MAX_STRAYS

    def send(self, random: np.random.Generator) -> str:
        index = self.rig.index
        image = self.rig.good_image(index)
        odd = random.integers(4)
        if odd == 0:
            pass  # the stamp of the newest, again
        elif odd == 1:
            image.header = scene.header(index - 1)
        elif odd == 2:
            image.header.stamp = time_message(scene.stamp(index) - int(10 ** random.uniform(9.5, 18)))
        else:
            while (stamp := odd_time(random)).sec > 2_000_000_000:  # later than all others: see `leap`
                continue
            image.header.stamp = stamp
        self.rig.strays += odd != 0
        self._images[self.rig.transport].publish(image)
        return f"an image again, stamped {image.header.stamp.sec}.{image.header.stamp.nanosec:09}"


def strange(random: np.random.Generator, header: Header) -> Image:
    """An image that can be read, but that few cameras send: any encoding, size, padding and byte order."""
    encoding = [*ENCODINGS][random.integers(len(ENCODINGS))]
    kind, channels, _ = ENCODINGS[encoding]
    sides = [1, 2, 3, 7, 64, 97, 240, MAX_SIDE]
    height, width = (sides[random.integers(len(sides))] for _ in range(2))
    rows = {"nv12": height * 3 // 2, "nv21": height * 3 // 2, "nv24": height * 3}.get(encoding, height)
    step = width * channels * int(kind[1])
    padded = step + (0 if encoding == "nv24" else int(random.integers(3)) * int(random.integers(40)))
    data = random.integers(0, 256, rows * padded + int(random.integers(2)) * 100, dtype=np.uint8)
    image = Image(header=header, height=height, width=width, encoding=encoding, step=padded)
    image.is_bigendian = int(random.integers(2)) * int(random.integers(256))
    image.data = data.tobytes()
    return image
