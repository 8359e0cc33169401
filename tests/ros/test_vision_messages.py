"""The messages of vision_msgs, and our own definitions of them, with which the tests run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType

import message_packages
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from sam2_ros.ros.vision_messages import vision_messages

DEFINITIONS = message_packages.INTERFACES / "vision_msgs/msg"
HASHES = {
    "BoundingBox2D": "008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "BoundingBox3D": "bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "Detection2D": "0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "Detection2DArray": "214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "Detection3D": "ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "Detection3DArray": "793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
    "ObjectHypothesis": "51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "ObjectHypothesisWithPose": "41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
    "Point2D": "eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "Pose2D": "b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
}
"""Of the messages in vision_msgs 4.1.1, as ROS compares them (REP-2016)."""


def test_our_definitions_are_those_of_vision_msgs() -> None:
    store, names = get_typestore(Stores.ROS2_JAZZY), [path.stem for path in sorted(DEFINITIONS.glob("*.msg"))]
    types = {}
    for name in names:
        types |= get_types_from_msg((DEFINITIONS / f"{name}.msg").read_text(), f"vision_msgs/msg/{name}")
    store.register(types)
    assert {name: store.hash_rihs01(f"vision_msgs/msg/{name}") for name in names} == {
        name: f"RIHS01_{HASHES[name]}" for name in names
    }
    assert "Detection2DArray" in names


def test_none_where_it_is_not_installed(vision: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vision_messages() is vision
    monkeypatch.setitem(sys.modules, "vision_msgs", None)
    assert vision_messages() is None


def test_none_where_it_was_built_for_another_python(
    vision: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The modules are there, and the library that they load is not."""
    folder = Path(vision.__file__).parents[1]
    shutil.copytree(folder, tmp_path / "vision_msgs", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "vision_msgs"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert vision_messages() is None
    assert sys.modules["vision_msgs"].__path__ == [str(tmp_path / "vision_msgs")]
    for name in [name for name in sys.modules if name.partition(".")[0] == "vision_msgs"]:
        monkeypatch.delitem(sys.modules, name)
