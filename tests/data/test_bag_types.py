"""Definitions of our messages, with and without the source folder."""

from pathlib import Path

from sam2_ros.data import bag_types

ROOT = Path(__file__).resolve().parents[2]


def test_installed_definitions_are_found(tmp_path, monkeypatch):
    """Outside of the source folder, in a sourced workspace."""
    monkeypatch.setattr(bag_types, "__file__", str(tmp_path / "lib/sam2_ros/data/bag_types.py"))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert bag_types.definitions() is None
    share = tmp_path / "workspace/share/sam2_ros/msg"
    share.mkdir(parents=True)
    (share / "MaskletArray.msg").write_text((ROOT / "msg/MaskletArray.msg").read_text())
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/opt/ros/jazzy:{tmp_path / 'workspace'}")
    assert bag_types.definitions() == share
