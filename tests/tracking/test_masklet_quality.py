"""What masklets do, from run lengths: beside the same computed from the masks themselves."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_ros.tracking import rle
from sam2_ros.tracking.masklet_quality import Lives, covered_share, uncovered_shares, without_repeats

SIZE = 30, 40


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def random_masks(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rectangle(*rng.integers(0, 20, 2), *rng.integers(5, 18, 2)) & (rng.random(SIZE) < 0.9) for _ in range(count)
    ]


def counts(masks: list[np.ndarray]) -> list[np.ndarray]:
    return [rle.encode(mask) for mask in masks]


def test_covered_share_is_that_of_the_union() -> None:
    masks = random_masks(6)
    assert covered_share(counts(masks), *SIZE) == pytest.approx(np.any(masks, axis=0).mean())
    assert covered_share([], *SIZE) == 0


def test_uncovered_shares_are_of_each_mask() -> None:
    masks, known = random_masks(5), random_masks(3, seed=1)
    expected = [(mask & ~np.any(known, axis=0)).sum() / mask.sum() for mask in masks]
    assert uncovered_shares(counts(masks), counts(known), *SIZE) == pytest.approx(expected)
    assert uncovered_shares(counts(masks), [], *SIZE).tolist() == [1] * 5
    assert uncovered_shares([], counts(known), *SIZE).tolist() == []


def test_repeats_of_what_comes_before_are_left_out() -> None:
    first, almost, other = rectangle(0, 0, 10, 10), rectangle(0, 1, 10, 10), rectangle(15, 15, 10, 10)
    assert without_repeats(counts([first, almost, other, first]), 0.6, *SIZE) == [0, 2]
    assert without_repeats(counts([first, almost, other, first]), 0.9, *SIZE) == [0, 1, 2]
    assert without_repeats([], 0.6, *SIZE) == []


def lives_of(frames: list[dict[int, np.ndarray]], object_ids: tuple[int, ...], iou: float = 0.5) -> Lives:
    lives = Lives(object_ids)
    for frame in frames:
        lives.add(list(frame), counts(list(frame.values())), [iou] * len(frame), *SIZE)
    return lives


def test_pairs_are_compared_on_frames_with_both() -> None:
    frames = [dict(zip((4, 7, 9), random_masks(3, seed), strict=True)) for seed in range(5)]
    del frames[1][7], frames[2][4]
    lives = lives_of(frames, (4, 7, 9))
    both = [(frame[4], frame[7]) for frame in (frames[0], frames[3], frames[4])]
    expected = sum((a & b).sum() for a, b in both) / sum((a | b).sum() for a, b in both)
    assert lives.together(4, 7) == lives.together(7, 4) == 3
    assert lives.iou(4, 7) == lives.iou(7, 4) == pytest.approx(expected)
    assert lives.frames == 5 and lives.life(4).present == 4 and lives.life(9).present == 5


def test_an_object_that_never_has_a_mask() -> None:
    lives = lives_of([{1: rectangle(0, 0, 9, 9)}, {}], (1, 2))
    assert lives.life(2).present == 0 and lives.life(2).iou == 0
    assert lives.iou(1, 2) == 0 and lives.together(1, 2) == 0


def test_returns_are_counted() -> None:
    mask = {1: rectangle(5, 5, 9, 9)}
    assert lives_of([{}, mask, mask, {}, {}, mask, {}, mask, mask, {}], (1,)).life(1).returns == 2
    assert lives_of([{}, mask, mask, {}], (1,)).life(1).returns == 0, "it appears and vanishes once"


def test_jumps_are_between_neighbouring_frames() -> None:
    here, near, far = ({1: rectangle(5, left, 10, 10)} for left in (2, 5, 25))
    assert lives_of([here, near, here, near], (1,)).life(1).jumps == 0
    assert lives_of([here, far, far, here, near], (1,)).life(1).jumps == 2
    assert lives_of([here, {}, far], (1,)).life(1).jumps == 0, "what happened while it was hidden is unknown"


def test_what_is_covered_quickly_has_not_jumped() -> None:
    whole, rest = {1: rectangle(5, 5, 10, 20)}, {1: rectangle(5, 5, 10, 4)}
    assert lives_of([whole, rest, whole, {}, rest], (1,)).life(1).jumps == 0


def test_images_of_another_size_are_no_jump() -> None:
    lives = Lives((1,))
    for height, width in ((30, 40), (60, 80)):
        mask = np.zeros((height, width), bool)
        mask[:5, :5] = True
        lives.add([1], counts([mask]), [0.5], height, width)
    assert lives.life(1).jumps == 0


def test_filled_is_a_part_that_is_most_of_it() -> None:
    outer, most, little = rectangle(0, 0, 20, 20), rectangle(0, 0, 20, 15), rectangle(0, 0, 5, 5)
    lives = lives_of([{1: outer, 2: most, 3: little}] * 3, (1, 2, 3))
    assert lives.filled(1, 2) == 3
    assert lives.filled(1, 3) == 0, "it makes up too little"
    assert lives.filled(2, 1) == 0, "it is not inside"
