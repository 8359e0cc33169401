"""Whether somebody has corrected the masklets of a bag, or they are a network's own answers as they came."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from sam2_ros.data import bag
from sam2_ros.data.clips import ClipError

PROMPTS = "sam2_ros/msg/PromptArray"
ENOUGH = 50
"""MaskletArrays of a bag that are looked at to see who has made them."""


def uncorrected(root: str | Path) -> list[Path]:
    """The bags here (a bag, or a folder of them) whose masklets a network has made and nobody has corrected.

    A network says how well a mask will fit, which somebody who draws or knows the truth does not. A correction is a
    prompt for an object on a later image than its first one, on a topic that was recorded along. Damaged bags are left
    out: who reads them says what is wrong.
    """
    found = []
    for path in bag.bags(root):
        with contextlib.suppress(ClipError):
            if _is_uncorrected(path):
                found.append(path)
    return found


def _is_uncorrected(path: Path) -> bool:
    with bag._errors(path), AnyReader([path], default_typestore=bag._typestore()) as reader:
        arrays = islice(_messages(reader, bag.MASKLETS), ENOUGH)
        if not any(0 < masklet.iou < 1 for array in arrays for masklet in array.masklets):
            return False
        prompted: dict[int, int] = {}  # the stamp of each object's first prompt
        for array in _messages(reader, PROMPTS):
            stamp = array.header.stamp.sec * 10**9 + array.header.stamp.nanosec
            for prompt in array.prompts:
                if prompt.object_id and prompted.setdefault(prompt.object_id, stamp) != stamp:
                    return False
        return True


def _messages(reader: AnyReader, kind: str) -> Iterator[Any]:
    connections = [connection for connection in reader.connections if connection.msgtype == kind]
    for connection, _, data in reader.messages(connections) if connections else ():
        yield reader.deserialize(data, connection.msgtype)
