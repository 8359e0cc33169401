"""The size of the shared memory in which Fast DDS passes images between processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

SHM = Path("/dev/shm")

DEFAULT_SEGMENT = 512 * 1024
"""Default size of the segment of each process, bytes."""

PROCESSES = 4
"""Number of processes that exchange images: a camera, the node, a recorder, a viewer."""

VARIABLES = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
"""Environment variables with the path of Fast DDS's profile: up to Jazzy, and from Kilted on."""

MIB = 2**20


def size_warning(middleware: str, folder: Path = SHM, environment: Mapping[str, str] = os.environ) -> str | None:
    """A warning that the shared memory of this machine is too small, with a remedy; None: it is large enough.

    Args:
        middleware: `rclpy.get_rmw_implementation_identifier()`. Only Fast DDS is checked.
        folder: mount point of the shared memory.
    """
    if "fastrtps" not in middleware or not (segment := segment_size(environment)):
        return None
    advice = (
        f"Fast DDS takes {segment / MIB:.3g} MiB in each process that exchanges images, and loses images where there"
        " is less. In a container: docker run --shm-size=512m, or --ipc=host"
    )
    try:
        stats = os.statvfs(folder)
    except OSError as error:
        return f"there is no shared memory at {folder} ({error.strerror}). {advice}"
    size, free = stats.f_blocks * stats.f_frsize, stats.f_bavail * stats.f_frsize
    if size < PROCESSES * segment or free < segment:
        return f"{folder} is small: {size / MIB:.0f} MiB, {free / MIB:.0f} of them free. {advice}"
    return None


def segment_size(environment: Mapping[str, str]) -> int:
    """Bytes of shared memory that Fast DDS takes in a process with this environment; 0: none."""
    if environment.get("FASTDDS_BUILTIN_TRANSPORTS", "").upper().startswith("UDP"):
        return 0
    for variable in VARIABLES:
        if profile := environment.get(variable):
            return _segment_of(Path(profile))
    return DEFAULT_SEGMENT


def _segment_of(profile: Path) -> int:
    try:
        root = ElementTree.parse(profile).getroot()
    except (OSError, ElementTree.ParseError):  # Fast DDS reports it itself
        return DEFAULT_SEGMENT
    plain = [element for element in root.iter() if isinstance(element.tag, str)]
    for element in plain:
        element.tag = element.tag.rpartition("}")[2]
    shared = [
        int(size) if (size := (transport.findtext("segment_size") or "").strip()).isdecimal() else DEFAULT_SEGMENT
        for transport in root.iter("transport_descriptor")
        if (transport.findtext("type") or "").strip() == "SHM"
    ]
    builtin = any((element.text or "").strip() != "false" for element in root.iter("useBuiltinTransports"))
    if not shared and not builtin and root.find(".//useBuiltinTransports") is not None:
        return 0
    return max(shared, default=DEFAULT_SEGMENT)
