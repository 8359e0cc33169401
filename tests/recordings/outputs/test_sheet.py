"""Contact sheets: which moments, and that they show the objects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finished_runs import make_run
from PIL import Image
from small_clips import make_clip

from sam2_ros.recordings.folder_recording import FolderRecording
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.outputs import sheet
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.outputs.sheet import moments
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.tracking.masklet import BOX_MIN_PART, Masklet
from sam2_ros.tracking.prompt import Box, Click, Prompt


def test_moments_are_spread_evenly_and_show_where_objects_begin() -> None:
    assert moments(range(5), []) == [0, 1, 2, 3, 4]
    assert moments(range(1200), [0]) == np.linspace(0, 1199, 12).round().astype(int).tolist()
    assert moments([7], [7]) == [7] and moments([], []) == []
    chosen = moments(range(1200), [0, 100, 444, 445])
    assert len(chosen) == 12 and {0, 100, 444, 445, 1199} <= set(chosen) and chosen == sorted(chosen)
    many = moments(range(1200), range(100, 130))
    assert len(many) == 12 and many[0] == 0 and many[-1] == 1199
    damaged = [frame for frame in range(100) if frame % 7]
    assert set(moments(damaged, [7, 14])) <= set(damaged)


def test_sheet_shows_the_recording(tmp_path: Path) -> None:
    run = make_run(tmp_path, make_clip(frames=9))
    assert sheet.write(run, tmp_path / "sheet.jpg") == []
    with Image.open(tmp_path / "sheet.jpg") as picture:
        pixels = np.array(picture)
    assert pixels.shape == (74 + 3 * (300 + 22 + 8) + 16 - 8, 2 * 16 + 4 * 400 + 3 * 8, 3)
    saturated = pixels.max(axis=2).astype(int) - pixels.min(axis=2) > 100
    assert saturated.mean() > 0.01, "coloured outlines"


def test_prompted_moments_say_so(tmp_path: Path) -> None:
    """In their captions, and by marks of clicks and boxes."""
    run = make_run(tmp_path, make_clip(frames=3, ids=(1, 2)))
    run = replace(run, prompts=run.prompts[:2])
    sheet.write(run, tmp_path / "with.jpg")
    sheet.write(replace(run, prompts=[]), tmp_path / "without.jpg")
    one, other = (np.array(Image.open(tmp_path / name)).astype(int) for name in ("with.jpg", "without.jpg"))
    differing = np.argwhere(np.abs(one - other).max(axis=2) > 60)
    assert differing[:, 1].max() < 16 + 400, "the first picture alone"
    assert (differing[:, 0] > 74 + 300).any() and (differing[:, 0] < 74 + 300).any()


def test_marks_lie_on_their_pixels() -> None:
    picture = np.zeros((60, 80, 3), np.uint8)
    sheet.draw_prompt(picture, Prompt(1, (Click(20, 20), Click(100, 80, False)), Box(10, 60, 21, 41)), 0.5)
    assert tuple(picture[10, 10]) == sheet.ON and tuple(picture[40, 50]) == sheet.OFF
    assert tuple(picture[10, 14]) != (0, 0, 0) == tuple(picture[10, 20])
    assert (picture[30, 6:14] > 200).all() and (picture[32:48, 5] > 200).all() and not picture[40, 10].any()


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1)])
def test_images_of_any_shape(tmp_path: Path, shape: tuple[int, int]) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    Image.new("RGB", shape[::-1]).save(folder / "line.png")
    store = MaskletStore(tmp_path / "masklets.db", {})
    store.add_frame(0, 10**9, *shape)
    mask = np.ones(shape, bool)
    store.add(0, [Masklet(1, "", True, 1.0, 0.9, mask, BOX_MIN_PART)])
    store.add_object(1, "line", 0)
    store.commit("forwards", 1, done=True)
    run = FinishedRun(FolderRecording(folder), store, [ScheduledPrompt(0, Prompt(1, (Click(0, 0),)))])
    assert sheet.write(run, tmp_path / "sheet.jpg") == []
    with Image.open(tmp_path / "sheet.jpg") as picture:
        assert picture.width == 2 * 16 + 400 and picture.height < 4000
