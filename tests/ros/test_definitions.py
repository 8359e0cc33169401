"""Definitions of message types, from files and from Python classes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from sam2_ros.ros.definitions import definition, message_class

SHARE = Path(sys.prefix, "share")
DESCRIBED = sorted(
    file
    for package in ("sam2_ros", "sensor_msgs", "rcl_interfaces", "type_description_interfaces")
    for prefix in (SHARE, *(Path(prefix, "share") for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(":")))
    for file in (prefix / package / "msg").glob("*.json")
)


def hash_of(text: str, kind: str) -> str:
    types = get_typestore(Stores.EMPTY)
    types.register(get_types_from_msg(text, kind))
    return types.hash_rihs01(kind)


@pytest.mark.parametrize("with_files", [True, False], ids=["from files", "from classes"])
def test_definitions_match_the_type_hashes_of_ros(monkeypatch: pytest.MonkeyPatch, with_files: bool) -> None:
    if not with_files:
        monkeypatch.setattr("sam2_ros.ros.definitions._read_msg_file", lambda name: None)
    assert len(DESCRIBED) > 30
    for file in DESCRIBED:
        kind = f"{file.parent.parent.name}/msg/{file.stem}"
        true = next(
            entry["hash_string"] for entry in json.loads(file.read_text())["type_hashes"] if entry["type_name"] == kind
        )
        text, type_hash = definition(kind, true)
        assert type_hash == true and hash_of(text, kind) == true, kind


def test_file_of_another_version_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = "std_msgs/msg/ColorRGBA"
    _, true = definition(kind, hash_of(definition(kind)[0], kind))
    old = tmp_path / "share/std_msgs/msg/ColorRGBA.msg"
    old.parent.mkdir(parents=True)
    old.write_text("float32 r\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert definition(kind)[0] == "float32 r\n"
    text, type_hash = definition(kind, true)
    assert "float32 a" in text and type_hash == true
    assert definition(kind, "RIHS01_somebody_elses")[1] == ""


def test_types_inside_services() -> None:
    text, type_hash = definition("std_srvs/srv/SetBool_Event", "RIHS01_anything")
    assert type_hash == "", "rosbags has another name for it, and would refuse the bag"
    assert "std_srvs/SetBool_Request[<=1] request" in text and "MSG: std_srvs/SetBool_Request\nbool data" in text


@pytest.mark.parametrize(
    "kind", ["no_msgs/msg/Thing", "std_msgs/msg/Thing", "std_msgs/Header", "std_msgs/srv/A_Event", ""]
)
def test_missing_types_raise_import_error(kind: str) -> None:
    with pytest.raises(ImportError):
        message_class(kind)
