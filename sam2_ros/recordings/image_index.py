"""The images of a bag's topic: stamps, times and sizes, read without the images."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from rosbags.interfaces import Connection

from sam2_ros.data.message_stamp import stamp_of
from sam2_ros.recordings.bag_reader import BagReader

MAX_SECONDS = 2**31 - 1
"""Of a time of ROS."""


@dataclass
class ImageIndex:
    """Images in the order of recording, without those that have the stamp of an earlier one."""

    stamps: list[int] = field(default_factory=list)
    """ns; for images without a stamp, the time of recording."""
    times: list[int] = field(default_factory=list)
    """Of recording, ns."""
    sizes: list[int] = field(default_factory=list)
    """Bytes of messages."""
    frame_id: str = ""
    ascending: bool = True
    """Whether both stamps and times ascend."""
    notices: list[str] = field(default_factory=list)
    """What is left out."""

    @classmethod
    def of(cls, reader: BagReader, connections: Collection[Connection]) -> ImageIndex:
        """The images of a topic's connections. Raises ClipError."""
        topic = next(iter(connections)).topic
        index, seen, notices = cls(), set[int](), Counter[str]()
        last_stamp = last_time = -(2**63)
        for time, size, head in reader.heads(connections):
            try:
                recorded = image_stamp(head)
                frame_id = _frame_id(head)
            except (struct.error, IndexError):
                notices[
                    f"images on {topic} that are cut off before their stamp, or whose stamp is no time, left out"
                ] += 1
                continue
            stamp = recorded or time
            if stamp in seen:
                notices[f"images on {topic} with the stamp of an earlier one, left out"] += 1
                continue
            if not recorded:
                notices[f"images on {topic} without a stamp, which get the time of recording"] += 1
            index.ascending &= stamp > last_stamp and time > last_time
            last_stamp, last_time = stamp, time
            seen.add(stamp)
            index.frame_id = index.frame_id or frame_id
            index.stamps.append(stamp)
            index.times.append(time)
            index.sizes.append(size)
        index.notices = [f"{text}: {count}" for text, count in notices.items()]
        if reader.damage:
            index.notices.append(f"damaged chunks of the bag, left out: {len(reader.damage)}")
        return index


def image_stamp(data: bytes) -> int:
    """Stamp of a serialised image, ns.

    Raises struct.error or IndexError if it is cut off, or no time of ROS, with seconds of 32 bits: it could not be
    written again.
    """
    stamp = stamp_of(data)
    if stamp // 1_000_000_000 > MAX_SECONDS:
        raise struct.error("the stamp is no time")
    return stamp


def _frame_id(data: bytes) -> str:
    """Frame of a serialised message that begins with a header. Raises struct.error."""
    (length,) = struct.unpack_from("<I" if data[1] & 1 else ">I", data, 12)
    return bytes(data[16 : 16 + min(length, 256)]).rstrip(b"\0").decode("utf-8", "replace")
