"""Launch files as modules, over stand-ins for ROS's launch and launch_ros, which have no wheels."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "launch"

NAMES = {
    "launch": ["LaunchContext", "LaunchDescription", "LaunchDescriptionEntity"],
    "launch.actions": [
        "DeclareLaunchArgument",
        "ExecuteProcess",
        "LogInfo",
        "OpaqueFunction",
    ],
    "launch.launch_description_sources": [],
    "launch_ros": [],
    "launch_ros.actions": ["Node"],
    "launch_ros.parameter_descriptions": ["ParameterFile", "ParameterValue"],
}


class Described:
    """Replaces the classes of ROS's launch: keeps what it was made from."""

    def __init__(self, *arguments: object, **named: object) -> None:
        self.arguments = arguments
        self.named = named


def loaded(path: str) -> ModuleType:
    """A launch file of this package as a module, by its name or path."""
    spec = importlib.util.spec_from_file_location("launch_file", FOLDER / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loaded_over_stand_ins(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for module, classes in NAMES.items():
        stand_in = ModuleType(module)
        for class_name in classes:
            setattr(stand_in, class_name, type(class_name, (Described,), {}))
        monkeypatch.setitem(sys.modules, module, stand_in)
    sys.modules["launch.launch_description_sources"].load_python_launch_file_as_module = loaded
    return loaded(name)


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path, *packages: str) -> None:
    """Makes these ROS packages be installed, in a prefix of their own in a folder, and no others."""
    for package in packages:
        marker = folder / "share/ament_index/resource_index/packages" / package
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(folder))
