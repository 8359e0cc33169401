"""The good images and the good prompts: three things that move over noise."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import time_message

HEIGHT, WIDTH = 120, 160
GOOD_IDS = (60_001, 60_002, 60_003)
"""IDs of the objects that both nodes track. No new object gets one of them by itself: those are counted from 1."""
START = 2_100_000_000_000_000_000
"""Stamp of the first image, ns: in the future, so that an image without a stamp, which gets its time of arrival, is
older than all others whenever this runs."""
PERIOD = 100_000_000  # ns between images
FRAME = "camera_optical"

_NOISE = np.random.default_rng(7).integers(0, 80, (HEIGHT, WIDTH, 3), dtype=np.uint8)
_COLOURS = ((250, 200, 40), (20, 200, 240), (200, 30, 60))
_SIZES = ((30, 34), (30, 30), (18, 30))  # rows and columns


def corners(index: int) -> list[tuple[int, int]]:
    """Top row and left column of each thing on an image."""
    there = index % 120
    shift = there if there < 60 else 120 - there
    return [(30, 20 + shift), (72, 100 - shift), (8, 60 + shift // 3)]


def truth(index: int, thing: int) -> np.ndarray:
    """The mask of a thing, bool [H, W]."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    (top, left), (height, width) = corners(index)[thing], _SIZES[thing]
    mask[top : top + height, left : left + width] = True
    return mask


def picture(index: int) -> np.ndarray:
    """A good image, uint8 [H, W, 3] RGB."""
    pixels = _NOISE.copy()
    for thing, colour in enumerate(_COLOURS):
        pixels[truth(index, thing)] = colour
    return pixels


def stamp(index: int) -> int:
    """The stamp of an image, ns."""
    return START + index * PERIOD


def header(index: int) -> Header:
    return Header(stamp=time_message(stamp(index)), frame_id=FRAME)


def prompt(index: int, thing: int, how: str) -> msg.Prompt:
    """A good prompt for a thing: a click, a box or a mask."""
    (top, left), (height, width) = corners(index)[thing], _SIZES[thing]
    good = msg.Prompt(object_id=GOOD_IDS[thing])
    if how == "click":
        good.clicks = [msg.Click(x=float(left + width // 2), y=float(top + height // 2))]
    elif how == "box":
        good.box = RegionOfInterest(x_offset=left, y_offset=top, width=width, height=height)
    else:
        good.mask = to_message(truth(index, thing).astype(np.uint8) * 255, "mono8", Header())
    return good
