"""metadata.yaml, which makes a folder of MCAP files a rosbag2 bag."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.records import Channel, Schema
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos
from ruamel.yaml import YAML

from sam2_ros.data.mcap_index import Index

VERSION = 9
"""Version of rosbag2's metadata: that of Jazzy, which later ones can read."""

QOS, TYPE_HASH = "offered_qos_profiles", "topic_type_hash"
"""Metadata keys of an MCAP channel in rosbag2."""


@dataclass(frozen=True)
class Contents:
    """Contents of one file of a bag."""

    name: str
    schemas: dict[int, Schema]
    channels: dict[int, Channel]
    counts: dict[int, int]
    """Messages by channel."""
    start: int
    """Time of the first message, ns."""
    end: int
    """Time of the last message, ns."""

    @classmethod
    def of(cls, name: str, index: Index) -> Contents:
        return cls(name, index.schemas, index.channels, index.counts, *index.times)

    @property
    def messages(self) -> int:
        return sum(self.counts.values())


def write_metadata(
    folder: Path,
    files: list[Contents],
    type_hashes: Mapping[str, str] | None = None,
    custom_data: Mapping[str, str] | None = None,
) -> None:
    """Write metadata.yaml atomically.

    Args:
        type_hashes: hashes of types by topic, for channels that lack them.
        custom_data: the user's entry.

    Raises:
        OSError: the disk is full, for instance.
    """
    filled = [file for file in files if file.messages]
    start = min((file.start for file in filled), default=0)
    end = max((file.end for file in filled), default=0)
    information = {
        "version": VERSION,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": end - start},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(file.messages for file in files),
        "topics_with_message_count": _topics(files, type_hashes or {}),
        "compression_format": "",  # of whole files or messages; that of chunks is MCAP's
        "compression_mode": "",
        "relative_file_paths": [file.name for file in files],
        "files": [
            {
                "path": file.name,
                "starting_time": {"nanoseconds_since_epoch": file.start},
                "duration": {"nanoseconds": file.end - file.start},
                "message_count": file.messages,
            }
            for file in files
        ],
        "custom_data": dict(custom_data) if custom_data else None,
        "ros_distro": os.environ.get("ROS_DISTRO", "unknown"),
    }
    final, new = folder / "metadata.yaml", folder / "metadata.yaml.new"
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    try:
        with open(new, "w", encoding="utf-8") as file:
            yaml.dump({"rosbag2_bagfile_information": information}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(final)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _topics(files: list[Contents], type_hashes: Mapping[str, str]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for file in files:
        for channel in file.channels.values():
            schema = file.schemas.get(channel.schema_id)
            kind = schema.name if schema else ""
            one = found.setdefault(
                (channel.topic, kind),
                {
                    "topic_metadata": {
                        "name": channel.topic,
                        "type": kind,
                        "serialization_format": channel.message_encoding,
                        "offered_qos_profiles": _qos(channel.metadata.get(QOS, "")),
                        "type_description_hash": channel.metadata.get(TYPE_HASH) or type_hashes.get(channel.topic, ""),
                    },
                    "message_count": 0,
                },
            )
            one["message_count"] += file.counts.get(channel.id, 0)
    return [found[key] for key in sorted(found)]


def _qos(text: str) -> list[Any]:
    """The QoS profiles in the metadata of an MCAP channel, in the form of version 9."""
    try:
        return dump_qos_v9(parse_qos(text))
    except Exception:  # any program may have written it, and only the QoS of playback depends on it
        return []
