"""Scores of automatic masklets, with masklets made for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from small_clips import make_clip

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.masklets import masklets_report, score_masklets
from sam2_ros.evaluation.report import Rows
from sam2_ros.tracking.masklet import Frame, Masklet

CLIP = make_clip(frames=8, ids=(1, 2, 3))
"""The third object comes on the fifth frame."""
NOTHING = np.zeros((48, 64), bool)


def frames_of(*masklets: Sequence[np.ndarray]) -> list[Frame]:
    """Masklets 11, 12, ...: a mask for each frame."""
    return [
        Frame(
            t,
            48,
            64,
            tuple(Masklet(11 + i, "", bool(one[t].any()), 0.9, 0.9, one[t]) for i, one in enumerate(masklets)),
        )
        for t in range(len(CLIP))
    ]


def true_masks(row: int) -> list[np.ndarray]:
    return [masks[row] for masks in CLIP.masks]


def scored(*masklets: Sequence[np.ndarray], clip: Clip = CLIP):
    return score_masklets(clip, range(11, 11 + len(masklets)), frames_of(*masklets))


def test_the_true_masks_are_perfect_in_any_order() -> None:
    score = scored(true_masks(2), true_masks(0), true_masks(1))
    assert score.iou == pytest.approx(np.eye(3)[[2, 0, 1]])
    assert score.followed() == score.followed_on_objects() == 3 and score.switches == 0
    assert score.on_objects.all() and score.best.tolist() == [1, 1, 1]


def test_the_mean_is_over_both_lives() -> None:
    """A masklet that is missing on some frames, and one that is there before the object comes."""
    half = [mask if t < 4 else NOTHING for t, mask in enumerate(true_masks(0))]
    early = [CLIP.masks[4][2] if t < 4 else mask for t, mask in enumerate(true_masks(2))]
    score = scored(half, early)
    assert score.iou[0, 0] == pytest.approx(0.5) and score.iou[1, 2] == pytest.approx(0.5)
    assert score.followed() == 0, "more than one half is needed"


def test_duplicates_count_once() -> None:
    score = scored(true_masks(0), true_masks(0))
    assert score.followed() == 1 and score.best.tolist() == [1, 0, 0]


def test_masklets_beside_all_objects() -> None:
    beside = NOTHING.copy()
    beside[46:, :2] = True
    score = scored(true_masks(0), [beside] * 8)
    assert score.on_objects.tolist() == [True, False]


def test_switches_of_the_best_masklet() -> None:
    first = [mask if t < 3 or t == 6 else NOTHING for t, mask in enumerate(true_masks(0))]
    second = [NOTHING if t < 4 or t == 6 else mask for t, mask in enumerate(true_masks(0))]
    assert scored(first, second).switches == 3, "11 to 12 (over a frame without any), back, and again"


def test_frames_that_are_not_annotated_or_unknown_do_not_count() -> None:
    wrong = [NOTHING if t % 2 else mask for t, mask in enumerate(true_masks(0))]
    sparse = replace(CLIP, masks=[None if t % 2 else masks for t, masks in enumerate(CLIP.masks)])
    assert scored(wrong, clip=sparse).iou[0, 0] == 1
    known = np.ones((8, 3), bool)
    known[1::2, 0] = False
    assert scored(wrong, clip=replace(CLIP, known=known)).iou[0, 0] == 1
    assert scored(wrong).iou[0, 0] == 0.5


def test_report() -> None:
    scores = {
        "a": replace(scored(true_masks(0), true_masks(1), true_masks(0)), rejected=4, seconds=2.0),
        "b": score_masklets(CLIP, [], [Frame(t, 48, 64, ()) for t in range(8)]),
    }
    report = masklets_report({}, scores, Rows(["a", "b"]))
    total = report.data["total"]
    assert total["objects"] == 6 and total["masklets"] == 3 and total["rejected"] == 4
    assert total["recall"] == pytest.approx(2 / 6) and total["precision"] == pytest.approx(2 / 3)
    assert report.tables[0].rows[-1] == ("all", ["6", "3", "4", "33.3", "66.7", "66.7", "0", "33.3", "1.0"])
    assert math.isnan(report.data["clips"]["b"]["precision"])
    assert "null" in report.json() and "| a | 3 |" in report.markdown()
