"""Photographs: things in them, and those that are held out."""

from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip

from sam2_ros.data import davis
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.scenes.photographs import Photograph, Photographs, names_held_out


def test_the_smaller_of_two_things_that_overlap_is_in_front() -> None:
    masks = np.zeros((3, 20, 30), bool)
    masks[0, 5:7, 6:9] = masks[1, 2:12, 2:15] = masks[2, 10:, 20:] = True
    photograph = Photograph.of(Clip("one", [np.zeros((20, 30, 3), np.uint8)], (1, 2, 5), [masks]))
    on_large, small, at_edge = photograph.label[3, 3], photograph.label[5, 7], photograph.label[19, 29]
    assert photograph.boxes == {on_large: (2, 2, 13, 10), small: (6, 5, 3, 2), at_edge: (20, 10, 10, 10)}
    assert photograph.whole == [on_large], "the others are too small, and cut off by the edge"


def test_one_in_seven_is_held_out_and_clips_are_left_out(tmp_path: Path) -> None:
    names = [f"still-{number}" for number in range(15)]
    davis.write([make_clip(name, frames=1, ids=(1, 2)) for name in names] + [make_clip("film", frames=3)], tmp_path)
    learnt, judged = Photographs.open(tmp_path), Photographs.open(tmp_path, held_out=True)
    assert (len(learnt), len(judged)) == (13, 2)
    assert sorted(one.name for one in (*learnt, *judged)) == sorted(names)
    assert {one.name for one in judged} == names_held_out(reversed(names))
    assert learnt[0] is learnt[0] and learnt[0].boxes.keys() == {1, 2}


def test_too_few_to_hold_any_out(tmp_path: Path) -> None:
    davis.write([make_clip(name, frames=1) for name in "ab"], tmp_path)
    with pytest.raises(ClipError, match="2 still images with masks, too few"):
        Photographs.open(tmp_path, held_out=True)
