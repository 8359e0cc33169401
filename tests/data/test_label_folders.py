"""The common layout of DAVIS, MOSE and YouTube-VOS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from small_clips import make_clip, same_masks

from sam2_ros.data import label_folders, mose


def test_frames_with_unknown_masks_get_no_label_image(tmp_path: Path) -> None:
    clip = make_clip()
    known = np.ones((9, 3), bool)
    known[:4, 2] = False  # it was found on the fifth
    label_folders.write(
        replace(clip, known=known), tmp_path / "JPEGImages/walk", tmp_path / "Annotations/walk", quality=90
    )
    assert len(list((tmp_path / "JPEGImages/walk").iterdir())) == 9
    assert sorted(file.stem for file in (tmp_path / "Annotations/walk").iterdir()) == [f"{i:05d}" for i in range(4, 9)]
    again = mose.read(tmp_path, "walk")
    same_masks(again, replace(clip, masks=[None] * 4 + list(clip.masks[4:])))
