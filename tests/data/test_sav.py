"""SA-V with masks that are unknown, labels and attributes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as pycocotools
from small_clips import make_clip, same_masks

from sam2_ros.data import sav
from sam2_ros.data.clips import ClipError


def test_unknown_masks_are_null(tmp_path: Path) -> None:
    clip = make_clip(every=4)
    known = np.zeros((9, 3), bool)
    known[0], known[4] = [True, False, True], [True, True, True]
    sav.write([replace(clip, known=known)], tmp_path)
    written = json.loads((tmp_path / "walk_manual.json").read_text())
    assert [[one is not None for one in masks] for masks in written["masklet"]] == known[::4].tolist()
    assert written["masklet_frame_count"] == [2, 1, 2]
    assert written["masklet_first_appeared_frame"] == [0.0, 1.0, 1.0]
    masks = clip.masks[4]
    assert masks is not None
    for column in range(3):
        np.testing.assert_array_equal(pycocotools.decode(written["masklet"][1][column]), masks[column])
    again = sav.read(tmp_path / "walk.mp4")
    np.testing.assert_array_equal(again.known, known)
    expected = clip.masks[0].copy()
    expected[1] = False
    same_masks(replace(again, object_ids=clip.object_ids), replace(clip, masks=[expected, *clip.masks[1:8], None]))


def test_all_known_is_none(tmp_path: Path) -> None:
    sav.write([make_clip(every=4)], tmp_path)
    assert sav.read(tmp_path / "walk.mp4").known is None
    written = json.loads((tmp_path / "walk_manual.json").read_text())
    assert "masklet_label" not in written and "masklet_attributes" not in written


def test_labels_and_attributes(tmp_path: Path) -> None:
    clip = replace(make_clip(), labels={1: "cup", 2: "", 5: "ball"}, attributes={2: {"verified": False}})
    sav.write([clip], tmp_path)
    written = json.loads((tmp_path / "walk_manual.json").read_text())
    assert written["masklet_label"] == ["cup", "", "ball"]
    assert written["masklet_attributes"] == [{}, {"verified": False}, {}]
    again = sav.read(tmp_path / "walk.mp4")
    assert again.labels == {1: "cup", 5: "ball"} and again.attributes == {2: {"verified": False}}
    written["masklet_id"] = [7, 3, 1]  # in any order
    (tmp_path / "walk_manual.json").write_text(json.dumps(written))
    again = sav.read(tmp_path / "walk.mp4")
    assert again.object_ids == (2, 4, 8) and again.labels == {8: "cup", 2: "ball"} and list(again.attributes) == [4]
    written["masklet_label"] = ["cup"]
    (tmp_path / "walk_manual.json").write_text(json.dumps(written))
    with pytest.raises(ClipError, match="'masklet_label' must have a str for each of the 3 objects"):
        sav.read(tmp_path / "walk.mp4")
