"""YouTube-VOS: categories, attributes, and frames with unknown masks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from small_clips import make_clip

from sam2_ros.data import youtube_vos


def test_labels_are_categories_and_frames_with_unknown_masks_are_not_listed(tmp_path: Path) -> None:
    known = np.ones((9, 3), bool)
    known[5, 0] = False
    clip = replace(
        make_clip(fps=30), labels={1: "cup", 2: "", 5: "ball"}, attributes={5: {"verified": False}}, known=known
    )
    youtube_vos.write([clip], tmp_path)
    objects = json.loads((tmp_path / "meta.json").read_text())["videos"]["walk"]["objects"]
    assert [one["category"] for one in objects.values()] == ["cup", "object", "ball"]
    assert [one.get("attributes") for one in objects.values()] == [None, None, {"verified": False}]
    assert objects["1"]["frames"] == [f"{frame:05d}" for frame in (0, 1, 2, 3, 4, 6, 7, 8)]
    assert objects["5"]["frames"] == [f"{frame:05d}" for frame in (4, 6, 7, 8)]
    again = youtube_vos.read(tmp_path, "walk")
    assert [masks is None for masks in again.masks] == [frame == 5 for frame in range(9)]
    assert again.known is None and len(again) == 9
    assert again.labels == {1: "cup", 5: "ball"} and again.attributes == {5: {"verified": False}}
