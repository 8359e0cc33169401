"""Prompts from pages as messages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.desk.event import Event
from sam2_ros.desk.refusal import Refusal
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import time_message
from sam2_ros.tracking import rle
from sam2_ros.tracking.prompt import MAX_CLICKS, MAX_LABEL, MAX_OBJECT_ID

MAX_SIDE = 16_384
"""Maximum height and width of a mask, pixels."""
MAX_PIXELS = 2**26
"""Maximum number of pixels of a mask."""
MAX_STAMP = 2**31 * 1_000_000_000 - 1


def header_message(stamp: int) -> Header:
    """The header of an image, by its stamp in ns; 0: the newest image."""
    return Header(stamp=time_message(stamp))


def stamp_of(request: Event) -> int:
    """The stamp that a request names, ns. Raises Refusal."""
    text = request.get("stamp")
    if not isinstance(text, str) or not text.isdecimal() or len(text) > 20 or int(text) > MAX_STAMP:
        raise Refusal("`stamp` must be a stamp, nanoseconds as a text")
    return int(text)


def prompt_message(prompt: Any) -> msg.Prompt:
    """The message of a prompt from a page. The node checks what depends on the image.

    Raises:
        Refusal: it is none.
    """
    if not isinstance(prompt, dict):
        raise Refusal("`prompt` must be an object")
    object_id, label = prompt.get("object_id", 0), prompt.get("label", "")
    if type(object_id) is not int or not 0 <= object_id <= MAX_OBJECT_ID:
        raise Refusal(f"an object's ID is a number from 0 (a new one) to {MAX_OBJECT_ID}")
    if not isinstance(label, str) or len(label) > MAX_LABEL:
        raise Refusal(f"a label is a text of at most {MAX_LABEL} letters")
    if "\0" in label or any("\ud800" <= letter <= "\udfff" for letter in label):
        raise Refusal("the label has letters that cannot be sent as UTF-8")
    message = msg.Prompt(object_id=object_id, label=label, replace=prompt.get("replace") is True)
    message.clicks = _clicks(prompt.get("clicks") or [])
    if (box := prompt.get("box")) is not None:
        message.box = _box(box)
    if (mask := prompt.get("mask")) is not None:
        message.mask = to_message(_mask(mask).astype(np.uint8) * 255, "mono8", Header())
    return message


def _clicks(clicks: Any) -> list[msg.Click]:
    if not isinstance(clicks, list) or len(clicks) > MAX_CLICKS:
        raise Refusal(f"`clicks` must be a list of at most {MAX_CLICKS}")
    messages = []
    for click in clicks:
        if not isinstance(click, dict):
            raise Refusal("a click is {x, y, positive}")
        x, y = _number(click.get("x")), _number(click.get("y"))
        messages.append(msg.Click(x=x, y=y, positive=click.get("positive") is not False))
    return messages


def _box(box: Any) -> RegionOfInterest:
    """A box, which is cut at the upper and left edges, as numbers in messages are not negative."""
    if not isinstance(box, list) or len(box) != 4:
        raise Refusal("a box is [x, y, width, height]")
    x, y, width, height = (_number(number) for number in box)
    left, top, right, bottom = max(0, round(x)), max(0, round(y)), round(x + width), round(y + height)
    if right <= left or bottom <= top:
        raise Refusal("the box has no pixels of the image")
    return RegionOfInterest(x_offset=left, y_offset=top, width=right - left, height=bottom - top)


def _mask(mask: Any) -> np.ndarray:
    """A mask, bool [H, W], from its run lengths."""
    if not isinstance(mask, dict):
        raise Refusal("a mask is {height, width, counts}")
    height, width, counts = mask.get("height"), mask.get("width"), mask.get("counts")
    if type(height) is not int or type(width) is not int:
        raise Refusal("height and width of a mask are numbers of pixels")
    if not 0 < height <= MAX_SIDE or not 0 < width <= MAX_SIDE or height * width > MAX_PIXELS:
        raise Refusal(f"a mask of {width} x {height} pixels")
    if not isinstance(counts, list) or any(type(count) is not int or count < 0 for count in counts):
        raise Refusal("the run lengths of a mask are whole numbers")
    if sum(counts) != height * width:
        raise Refusal(f"the run lengths of the mask cover {sum(counts)} pixels of {height * width}")
    return rle.decode(np.array(counts, np.int64), height, width)


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > 1e6:
        raise Refusal("coordinates are numbers of pixels")
    return float(value)
