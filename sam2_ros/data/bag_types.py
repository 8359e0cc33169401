"""Message types of bags. Needs no ROS."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
MASKLETS = "sam2_ros/msg/MaskletArray"


def definitions() -> Path | None:
    """The folder of our .msg files: in the source, in a sourced workspace, or in this environment; None: missing."""
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    folders = [Path(__file__).parents[2] / "msg", *(Path(prefix) / "share/sam2_ros/msg" for prefix in prefixes)]
    return next((folder for folder in folders if (folder / "MaskletArray.msg").is_file()), None)


@cache
def typestore() -> Typestore:
    """The message types of ROS 2 and ours. Raises FileNotFoundError if our definitions are not installed."""
    folder = definitions()
    if folder is None:
        raise FileNotFoundError("the .msg files of sam2_ros are not installed: source the ROS workspace that has them")
    store = get_typestore(Stores.ROS2_JAZZY)
    for file in sorted(folder.glob("*.msg")):
        store.register(get_types_from_msg(file.read_text(), f"sam2_ros/msg/{file.stem}"))
    return store
