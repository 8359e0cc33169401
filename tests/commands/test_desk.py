"""`sam2_ros desk`: which desk is started, with what."""

from __future__ import annotations

import argparse
import sys

import pytest

from sam2_ros.commands import desk


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, argparse.Namespace]:
    """The desk that was started, and its options."""
    calls: dict[str, argparse.Namespace] = {}
    for name in ("live", "recorded"):
        monkeypatch.setattr(desk, name, lambda options, name=name: calls.update({name: options}) or 7)
    return calls


@pytest.mark.parametrize(
    ("arguments", "which"),
    [
        ("", "live"),
        ("--port 0 --host 0.0.0.0", "live"),
        ("--demo", "live"),
        ("--ros-args -p port:=9000 -r __node:=table", "live"),
        ("--port 9 --ros-args -p max_width:=640", "live"),
        ("clip.mp4", "recorded"),
        ("--port 9000 clip.mp4 --no-browser", "recorded"),
        ("run1 --model default --size 256", "recorded"),
    ],
)
def test_recording_or_robot(
    arguments: str, which: str, started: dict[str, argparse.Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["sam2_ros desk", *arguments.split()])
    assert desk.main() == 7
    assert [*started] == [which]


def test_demo_is_of_no_recording(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["sam2_ros desk", "clip.mp4", "--demo"])
    with pytest.raises(SystemExit) as exit:
        desk.main()
    assert exit.value.code == 2 and "--demo is for a desk without a recording" in capsys.readouterr().err


def test_robot_without_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sam2_ros desk"])
    monkeypatch.delitem(sys.modules, "sam2_ros.ros", raising=False)
    monkeypatch.setitem(sys.modules, "rclpy", None)
    with pytest.raises(SystemExit, match=r"desk: sam2_ros.ros needs ROS 2.*For a recording: sam2_ros desk BAG"):
        desk.main()
