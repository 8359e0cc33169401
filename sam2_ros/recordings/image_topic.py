"""The topic of a bag whose images are tracked."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from rosbags.interfaces import Connection

from sam2_ros.data.bag_types import IMAGES, MASKLETS
from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.bag_reader import BagReader

OWN_OUTPUTS = ("overlay", "overlay/compressed", "labels")
"""Image topics of our node, beside its masklets."""

OWN_NAME = "/sam2"
"""The node's usual name."""

DEPTH = ("16UC1", "32FC1")
"""Encodings of depth."""


def chosen_topic(reader: BagReader, topic: str | None) -> str:
    """The topic of images: this one, or the only one. Raises ClipError."""
    counts = Counter[str]()
    for connection in reader.connections:
        if connection.msgtype in IMAGES:
            counts[connection.topic] += connection.msgcount
    if topic is not None:
        if topic not in counts:
            known = ", ".join(sorted(counts)) or "none"
            raise ClipError(reader.path, f"there is no topic {topic} of images; there are: {known}")
        return _with_pictures(reader, topic)
    candidates = sorted(topic for topic, count in counts.items() if count)
    if not candidates:
        kinds = " or ".join(IMAGES)
        others = sorted({f"{connection.topic} ({connection.msgtype})" for connection in reader.connections})
        known = ", ".join(others[:8]) + (" ..." if len(others) > 8 else "") or "none"
        raise ClipError(reader.path, f"there are no images ({kinds}); its topics: {known}")
    own = {connection.topic.rpartition("/")[0] for connection in reader.connections if connection.msgtype == MASKLETS}
    outputs = {f"{node}/{output}" for node in own | {OWN_NAME} for output in OWN_OUTPUTS}
    copies = {f"{topic}/compressed" for topic in candidates}
    cameras = [topic for topic in candidates if topic not in outputs | copies] or candidates
    if len(cameras) > 1:
        cameras = [topic for topic in cameras if not _is_depth(reader, topic)] or cameras
    if len(cameras) > 1:
        named = ", ".join(f"{topic} ({counts[topic]} images)" for topic in cameras)
        raise ClipError(reader.path, f"there are several topics of images: {named}; choose one with --images TOPIC")
    return _with_pictures(reader, cameras[0])


def connections_of(reader: BagReader, topic: str) -> list[Connection]:
    """The connections of a topic of images, all of the first one's type."""
    found = [one for one in reader.connections if one.topic == topic and one.msgtype in IMAGES]
    return [one for one in found if one.msgtype == found[0].msgtype]


def _with_pictures(reader: BagReader, topic: str) -> str:
    """The same topic. Raises ClipError if it has depth."""
    if _is_depth(reader, topic):
        raise ClipError(reader.path, f"{topic} has depth; choose a topic of colour or grey images with --images TOPIC")
    return topic


def _is_depth(reader: BagReader, topic: str) -> bool:
    """Whether the first image of a topic has depth, judging by its encoding."""
    connections = connections_of(reader, topic)
    try:
        for _, _, data in islice(reader.messages(connections), 1):
            message = reader.deserialize(data, connections[0].msgtype)
            encoding = getattr(message, "encoding", "") or message.format
            return "compressedDepth" in encoding or encoding.partition(";")[0].strip() in DEPTH
    except Exception:  # damaged: the user chooses
        pass
    return False
