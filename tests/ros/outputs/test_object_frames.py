"""Objects as frames."""

from __future__ import annotations

import sys
from types import ModuleType

import message_packages
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from sam2_ros.ros.outputs.object_frames import transform_message


def test_our_definition_is_that_of_tf2_msgs() -> None:
    ours, theirs = get_typestore(Stores.EMPTY), get_typestore(Stores.ROS2_JAZZY)
    name = "tf2_msgs/msg/TFMessage"
    ours.register({key: kind for key, kind in theirs.fielddefs.items() if key != name})
    text = (message_packages.INTERFACES / "tf2_msgs/msg/TFMessage.msg").read_text()
    ours.register(get_types_from_msg(text, name))
    assert ours.hash_rihs01(name) == theirs.hash_rihs01(name)


def test_none_where_it_is_not_installed(transforms: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert transform_message() is transforms.TFMessage
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    assert transform_message() is None
