"""Bags with chosen messages, written by rosbags from its own messages of ROS 2 and ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from sam2_ros.data.bag_types import typestore
from sam2_ros.data.bag_writer import BagWriter

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
ARRAY = "sam2_ros/msg/MaskletArray"
SECOND = 10**9
LATER = 7_000_000
"""From a stamp to the time of recording, ns, unless another is given."""


class Recorded(NamedTuple):
    """A message of a bag."""

    topic: str
    kind: str
    stamp: int
    """ns."""
    fields: dict[str, Any]
    time: int | None = None
    """Of recording, ns."""
    length: int | None = None
    """Bytes of the message that are written; None: all."""


def raw(pixels: np.ndarray, encoding: str = "rgb8") -> dict[str, Any]:
    """The fields of an Image."""
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).reshape(height, -1).view(np.uint8)
    fields = {"height": height, "width": width, "encoding": encoding, "is_bigendian": 0, "step": data.shape[1]}
    return fields | {"data": data.reshape(-1)}


def coded(pixels: np.ndarray, suffix: str = ".png", format: str = "") -> dict[str, Any]:
    """The fields of a CompressedImage of RGB or grey pixels."""
    bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return {"format": format or suffix[1:], "data": cv2.imencode(suffix, bgr)[1].ravel()}


def serialized(message: Recorded) -> bytes:
    """The message as CDR."""
    types = typestore().types
    time = types["builtin_interfaces/msg/Time"](*divmod(message.stamp, 10**9))
    header = types["std_msgs/msg/Header"](time, "camera_optical")
    data = typestore().serialize_cdr(types[message.kind](header, **message.fields), message.kind)
    return bytes(data)[: message.length]


def write_bag(
    path: Path,
    *messages: Recorded,
    storage: Literal["mcap", "sqlite3"] = "mcap",
    empty: Mapping[str, str] | None = None,
) -> Path:
    """Write messages in this order. Returns the bag's folder.

    Args:
        empty: types of further topics, without messages.
    """
    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        topics: dict[str, Any] = {}
        for topic, kind in (empty or {}).items():
            writer.add_connection(topic, kind, typestore=typestore())
        for message in messages:
            if message.topic not in topics:
                topics[message.topic] = writer.add_connection(message.topic, message.kind, typestore=typestore())
            time = message.stamp + LATER if message.time is None else message.time
            writer.write(topics[message.topic], time, serialized(message))
    return path


def write_chunks(path: Path, *messages: Recorded) -> tuple[Path, list[int]]:
    """Write messages as our recorder does, each into a chunk of its own. Returns the file, and where chunks begin."""
    writer = BagWriter(path)
    topics: dict[str, int] = {}
    starts = []
    for message in messages:
        if message.topic not in topics:
            definition, _ = typestore().generate_msgdef(message.kind)
            topics[message.topic] = writer.add_topic(message.topic, message.kind, definition, "", [])
        starts.append(writer.size)
        time = message.stamp + LATER if message.time is None else message.time
        writer.write(topics[message.topic], time, serialized(message))
        writer.flush()
    writer.close()
    (file,) = path.glob("*.mcap")
    return file, starts


def picture(number: int, height: int = 12, width: int = 16) -> np.ndarray:
    """An image that shows its number: uint8 [H, W, 3]."""
    return np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)


def pictures(count: int, topic: str = "/image") -> list[Recorded]:
    """Ten images a second."""
    return [Recorded(topic, IMAGE, SECOND + SECOND // 10 * number, raw(picture(number))) for number in range(count)]


def damage(file: Path, *places: int) -> None:
    """Change bytes of a file."""
    data = bytearray(file.read_bytes())
    for place in places:
        data[place] ^= 255
    file.write_bytes(data)
