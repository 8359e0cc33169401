"""Detection of bags whose masklets are a network's own predictions, without human corrections."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from sam2_ros.data import bag
from sam2_ros.data.bag_types import MASKLETS, typestore
from sam2_ros.data.clips import ClipError

PROMPTS = "sam2_ros/msg/PromptArray"
MAX_ARRAYS = 50
"""Number of MaskletArrays of a bag that are read to detect a network's predictions."""


def uncorrected(root: str | Path) -> list[Path]:
    """The bags at a path (a bag, or a folder of them) whose masklets are uncorrected predictions.

    Predicted masklets have an IoU between 0 and 1; drawn or true masklets do not. A correction is a prompt for an
    object on a later image than its first one, on a recorded topic. Damaged bags are left out; reading them reports the
    error.
    """
    paths = []
    for path in bag.bags(root):
        with contextlib.suppress(ClipError):
            if _is_uncorrected(path):
                paths.append(path)
    return paths


def _is_uncorrected(path: Path) -> bool:
    with bag.clip_errors(path), AnyReader([path], default_typestore=typestore()) as reader:
        arrays = islice(_messages(reader, MASKLETS), MAX_ARRAYS)
        if not any(0 < masklet.iou < 1 for array in arrays for masklet in array.masklets):
            return False
        prompted: dict[int, int] = {}  # stamp of each object's first prompt
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
