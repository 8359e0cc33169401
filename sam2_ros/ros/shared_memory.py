"""Whether there is room for the images that Fast DDS hands from process to process through shared memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

SHM = Path("/dev/shm")

USUAL_SEGMENT = 512 * 1024
"""Bytes that each process takes by default."""

PROCESSES = 4
"""That exchange images: a camera, the node, a recorder, a viewer."""

VARIABLES = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
"""Where Fast DDS looks for its profile: up to Jazzy, and from Kilted on."""

MIB = 2**20


def complaint(middleware: str, folder: Path = SHM, environment: Mapping[str, str] = os.environ) -> str | None:
    """What is wrong with a machine's shared memory, and what to do; None: nothing, as far as can be seen.

    Args:
        middleware: as in `rclpy.get_rmw_implementation_identifier()`. Others than Fast DDS are not looked at.
        folder: where the shared memory is mounted.
    """
    if "fastrtps" not in middleware or not (segment := segment_size(environment)):
        return None
    advice = (
        f"Fast DDS takes {segment / MIB:.3g} MiB in each process that exchanges images, and loses images where it has"
        " less. In a container: docker run --shm-size=512m, or --ipc=host"
    )
    try:
        there = os.statvfs(folder)
    except OSError as error:
        return f"there is no shared memory at {folder} ({error.strerror}). {advice}"
    size, free = there.f_blocks * there.f_frsize, there.f_bavail * there.f_frsize
    if size < PROCESSES * segment or free < segment:
        return f"{folder} is small: {size / MIB:.0f} MiB, {free / MIB:.0f} of them free. {advice}"
    return None


def segment_size(environment: Mapping[str, str]) -> int:
    """Bytes of shared memory that Fast DDS takes in a process with this environment; 0: it uses none."""
    if environment.get("FASTDDS_BUILTIN_TRANSPORTS", "").upper().startswith("UDP"):
        return 0
    for variable in VARIABLES:
        if profile := environment.get(variable):
            return _segment_of(Path(profile))
    return USUAL_SEGMENT


def _segment_of(profile: Path) -> int:
    try:
        root = ElementTree.parse(profile).getroot()
    except (OSError, ElementTree.ParseError):  # Fast DDS itself complains
        return USUAL_SEGMENT
    plain = [element for element in root.iter() if isinstance(element.tag, str)]
    for element in plain:
        element.tag = element.tag.rpartition("}")[2]
    shared = [
        int(size) if (size := (transport.findtext("segment_size") or "").strip()).isdecimal() else USUAL_SEGMENT
        for transport in root.iter("transport_descriptor")
        if (transport.findtext("type") or "").strip() == "SHM"
    ]
    builtin = any((element.text or "").strip() != "false" for element in root.iter("useBuiltinTransports"))
    if not shared and not builtin and root.find(".//useBuiltinTransports") is not None:
        return 0
    return max(shared, default=USUAL_SEGMENT)
