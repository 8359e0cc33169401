"""Folders with what was tracked on one image."""

from __future__ import annotations

import errno
import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from std_msgs.msg import Header

from sam2_ros.data import coco_rle
from sam2_ros.ros import saved_folder
from sam2_ros.ros.label_images import coloured_labels
from sam2_ros.ros.saved_folder import SaveError, default_folder, place, save
from sam2_ros.ros.stamps import time_message
from sam2_ros.ros.tracked_image import TrackedImage
from sam2_ros.tracking.masklet import Frame, Masklet

WHEN = datetime(2026, 11, 29, 23, 45, 6, 789_000)


def tracked(object_id: int = 3) -> TrackedImage:
    """Two objects on 80 x 60 pixels: one on a rectangle, one absent."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[10:20, 30:50] = True
    masklets = (Masklet(object_id, "tässe", True, 0.9, 0.8, mask), Masklet(40000, "", False, 0.1, 0.0, mask & False))
    header = Header(stamp=time_message(1_700_000_000_123_456_789), frame_id="camera_optical")
    return TrackedImage(header, pixels, Frame(1_700_000_000_123_456_789, 60, 80, masklets))


def read(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("object_id", [3, 300])
def test_everything_is_saved(tmp_path: Path, object_id: int) -> None:
    image = tracked(object_id)
    mask = image.frame.masklets[0].mask
    folder = save(tmp_path, "run3/kitchen", image, WHEN)
    assert folder == tmp_path / "run3/kitchen/2026-11-29_23-45-06.789"
    files = {"image.png", "overlay.png", "labels.png", "objects.json", f"mask_{object_id}.png", "mask_40000.png"}
    assert {file.name for file in folder.iterdir()} == files
    assert np.array_equal(read(folder / "image.png"), image.pixels)
    assert read(folder / "overlay.png").shape == (60, 80, 3)
    assert not np.array_equal(read(folder / "overlay.png"), image.pixels)
    assert np.array_equal(read(folder / "labels.png"), mask * object_id)
    if object_id < 255:
        seen = np.asarray(Image.open(folder / "labels.png").convert("RGB"))
        assert np.array_equal(seen, coloured_labels(image.frame))
    assert np.array_equal(read(folder / f"mask_{object_id}.png"), mask * np.uint8(255))
    assert not read(folder / "mask_40000.png").any()
    described = json.loads((folder / "objects.json").read_text("utf-8"))
    assert described["stamp"] == 1_700_000_000_123_456_789 and described["frame_id"] == "camera_optical"
    first, absent = described["objects"]
    assert np.array_equal(coco_rle.decode(first.pop("segmentation"), (60, 80)), mask)
    assert first == {
        "object_id": object_id,
        "label": "tässe",
        "present": True,
        "presence": 0.9,
        "iou": 0.8,
        "box": [30, 10, 20, 10],
        "mask": f"mask_{object_id}.png",
    }
    assert not absent["present"] and absent["box"] == [0, 0, 0, 0]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folders = [save(tmp_path, "", tracked(), WHEN) for _ in range(3)]
    assert [folder.name for folder in folders] == [f"2026-11-29_23-45-06.789{end}" for end in ("", "_2", "_3")]
    assert sorted(tmp_path.iterdir()) == sorted(folders)


@pytest.mark.parametrize(
    "folder",
    ["/etc", "..", "a/../../b", ".hidden", "a/.b", "a\0b", "~root", "a\nb", "-rf", "x" * 101, "/".join("abcdefghi")],
)
def test_folder_outside_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(SaveError, match="cannot be the folder"):
        save(tmp_path / "root", folder, tracked())
    assert not (tmp_path / "root").exists()


def test_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SaveError, match="leads out of"):
        save(tmp_path / "root", "link/more", tracked())
    assert not list((tmp_path / "elsewhere").iterdir())
    assert place(tmp_path / "root", "a/b") == tmp_path / "root/a/b"


def test_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(SaveError, match=r"taken cannot be written"):
        save(tmp_path, "taken", tracked())


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    monkeypatch.setattr(saved_folder, "write_pixels", full)
    with pytest.raises(SaveError, match="No space left on device"):
        save(tmp_path, "", tracked())
    assert not list(tmp_path.iterdir())


def test_little_room_on_the_disk_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=100 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SaveError, match="only 100 MiB are free"):
        save(tmp_path, "", tracked())
    assert not list(tmp_path.iterdir())


def test_default_folder_is_the_users_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "sam2_ros/saved"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_folder() == Path.home() / ".local/share/sam2_ros/saved"
